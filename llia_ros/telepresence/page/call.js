// The far end in a browser: its microphone goes to the face, the face and the room come back.
'use strict';

const of = (id) => document.getElementById(id);
let connection = null;
let microphone = null;

function say(text) {
  of('said').textContent = text;
}

function hangUp(text) {
  if (connection) connection.close();
  if (microphone) microphone.getTracks().forEach((track) => track.stop());
  connection = microphone = null;
  of('call').textContent = 'Speak through the face';
  of('mute').hidden = true;
  say(text);
}

async function gathered(own) {
  if (own.iceGatheringState === 'complete') return;
  await new Promise((done) => {
    own.addEventListener('icegatheringstatechange', () => {
      if (own.iceGatheringState === 'complete') done();
    });
  });
}

function received(event) {
  // The face's picture and sound travel as the first sections, the room's sound as the last.
  const sections = connection.getTransceivers();
  if (event.transceiver === sections[2]) {
    of('room').srcObject = new MediaStream([event.track]);
    return;
  }
  const shown = of('face').srcObject || new MediaStream();
  shown.addTrack(event.track);
  of('face').srcObject = shown;
}

function changed() {
  if (!connection) return;
  const state = connection.connectionState;
  if (state === 'connected') say('Connected: the face says what you say.');
  if (state === 'failed') hangUp('The connection was lost.');
}

async function call() {
  if (!navigator.mediaDevices) {
    say('The browser lends its microphone only to https:// or localhost.');
    return;
  }
  say('Calling …');
  of('call').textContent = 'Hang up';
  try {
    microphone = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    connection = new RTCPeerConnection({ iceServers: [] });
    connection.addTransceiver(microphone.getAudioTracks()[0], { direction: 'sendrecv' });
    connection.addTransceiver('video', { direction: 'recvonly' });
    connection.addTransceiver('audio', { direction: 'recvonly' });
    connection.addEventListener('track', received);
    connection.addEventListener('connectionstatechange', changed);
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    const answer = await fetch('offer', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(connection.localDescription),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    await connection.setRemoteDescription(await answer.json());
    of('mute').hidden = false;
  } catch (error) {
    hangUp(error.message);
  }
}

of('call').addEventListener('click', () => (connection ? hangUp('Not connected.') : call()));
of('mute').addEventListener('click', () => {
  const track = microphone.getAudioTracks()[0];
  track.enabled = !track.enabled;
  of('mute').setAttribute('aria-pressed', String(!track.enabled));
  of('mute').textContent = track.enabled ? 'Mute me' : 'Unmute me';
});
of('own').addEventListener('change', () => {
  of('face').muted = !of('own').checked;
});
window.addEventListener('pagehide', () => connection && connection.close());
