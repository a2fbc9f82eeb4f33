"""A voice from far away drives the face here, over WebRTC; the face may go back the same way."""
