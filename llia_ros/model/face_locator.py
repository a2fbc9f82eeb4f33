"""Where the face is: a soft mask that moves with the head, added to the denoiser's first layer."""

import torch
import torch.nn.functional as F
from torch import nn

# Half axes of the mask, fractions of the picture, and how far yaw and pitch carry the features.
HALF_WIDTH, HALF_HEIGHT = 0.38, 0.40
PARALLAX = 0.06


def face_mask(motion_NM: torch.Tensor, side: int) -> torch.Tensor:
    """Return soft masks (N, 1, side, side), 1 inside the face, for motion controls (N, 9)."""
    x, y, roll, yaw, pitch = (motion_NM[:, i, None, None] for i in range(5))
    grid = (torch.arange(side, device=motion_NM.device, dtype=motion_NM.dtype) + 0.5) / side - 0.5
    across = grid[None, None, :] - x - PARALLAX * yaw
    down = grid[None, :, None] - y + PARALLAX * pitch
    u = (across * roll.cos() + down * roll.sin()) / HALF_WIDTH
    w = (down * roll.cos() - across * roll.sin()) / HALF_HEIGHT
    return torch.sigmoid(12 * (1 - u.square() - w.square()))[:, None]


class FaceLocator(nn.Module):
    """A few strided convolutions from the mask to the denoiser's first feature map.

    The last layer starts at zero, so that training begins without it (as in ControlNet).
    """

    def __init__(self, out_channels: int, widths: tuple[int, ...] = (16, 32)):
        super().__init__()
        pairs = zip((1, *widths), widths)
        self.scale = 2 ** len(widths)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1, stride=2) for a, b in pairs])
        self.conv_out = nn.Conv2d(widths[-1], out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, mask_N1HW: torch.Tensor) -> torch.Tensor:
        """Return features (N, C, H / scale, W / scale) of masks (N, 1, H, W)."""
        x = mask_N1HW
        for conv in self.convs:
            x = F.silu(conv(x))
        return self.conv_out(x)


class DeepFaceLocator(nn.Module):
    """The face locator of the full scale: a mask as large as the picture, three halvings."""

    def __init__(self, out_channels: int, in_channels: int, widths: tuple[int, ...]):
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for a, b in zip(widths, widths[1:]):
            self.blocks.append(nn.Conv2d(a, a, 3, padding=1))
            self.blocks.append(nn.Conv2d(a, b, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(widths[-1], out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, mask_NCHW: torch.Tensor) -> torch.Tensor:
        """Return features (N, C, H / 8, W / 8) of masks (N, 1 or 3, H, W) in 0 .. 1."""
        x = F.silu(self.conv_in(mask_NCHW))
        for conv in self.blocks:
            x = F.silu(conv(x))
        return self.conv_out(x)
