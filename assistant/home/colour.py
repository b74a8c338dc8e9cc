"""Colours as people name them: names to RGB, RGB back to a name, and when two are the same.

A colour in a state or an action is an English name of `NAMES` or "#rrggbb"; other languages map
their words onto these names. Conversions: HSV by the standard library, CIE 1931 xy to sRGB by
IEC 61966-2-1 (D65).
"""

from __future__ import annotations

import colorsys
import re
from typing import Final

RGB = tuple[int, int, int]

# Ordered: of two names for one colour the first is the one spoken.
NAMES: Final[dict[str, RGB]] = {
    "red": (255, 0, 0),
    "orange": (255, 165, 0),
    "gold": (255, 215, 0),
    "yellow": (255, 255, 0),
    "lime": (191, 255, 0),
    "green": (0, 255, 0),
    "turquoise": (64, 224, 208),
    "cyan": (0, 255, 255),
    "teal": (0, 128, 128),
    "light blue": (0, 191, 255),
    "blue": (0, 0, 255),
    "indigo": (75, 0, 130),
    "purple": (128, 0, 128),
    "violet": (238, 130, 238),
    "lavender": (230, 230, 250),
    "magenta": (255, 0, 255),
    "pink": (255, 192, 203),
    "salmon": (250, 128, 114),
    "brown": (139, 69, 19),
    "white": (255, 255, 255),
}
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_SAME_HUE = 25.0  # degrees; lamps differ by this much for one and the same request
_PALE = 0.15  # saturation below which hue means nothing


def to_rgb(colour: str) -> RGB | None:
    """RGB (0-255) of a name or "#rrggbb"; None where it is neither."""
    text = colour.strip().lower()
    if found := _HEX.fullmatch(text):
        value = int(found[1], 16)
        return value >> 16, value >> 8 & 255, value & 255
    return NAMES.get(text.replace("_", " "))


def from_rgb(red: float, green: float, blue: float) -> str:
    """Name of an RGB colour (0-255), or "#rrggbb" where none is near."""
    channels = [min(255, max(0, round(c))) for c in (red, green, blue)]
    distances = {
        name: sum((a - b) ** 2 for a, b in zip(channels, rgb, strict=True))
        for name, rgb in NAMES.items()
    }
    best = min(distances, key=distances.__getitem__)
    if distances[best] <= 3 * 24**2:
        return best
    return "#{:02x}{:02x}{:02x}".format(*channels)


def from_hs(hue: float, saturation: float) -> str:
    """Name or "#rrggbb" of hue (degrees) and saturation (0-100) at full brightness."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, min(100, max(0, saturation)) / 100, 1)
    return from_rgb(red * 255, green * 255, blue * 255)


def to_hs(rgb: RGB) -> tuple[float, float]:
    """Hue (degrees) and saturation (0-100)."""
    hue, saturation, _ = colorsys.rgb_to_hsv(*(c / 255 for c in rgb))
    return round(hue * 360, 2), round(saturation * 100, 2)


def from_xy(x: float, y: float) -> str:
    """Name or "#rrggbb" of a CIE 1931 chromaticity at full brightness."""
    x, y = min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
    if y < 1e-3:
        return "white"
    big_x, big_z = x / y, (1 - x - y) / y
    linear = (
        3.2404542 * big_x - 1.5371385 - 0.4985314 * big_z,
        -0.9692660 * big_x + 1.8760108 + 0.0415560 * big_z,
        0.0556434 * big_x - 0.2040259 + 1.0572252 * big_z,
    )
    clipped = [max(0.0, c) for c in linear]
    top = max(clipped) or 1.0
    return from_rgb(*(_encode(c / top) * 255 for c in clipped))


def to_xy(rgb: RGB) -> tuple[float, float]:
    """CIE 1931 chromaticity of an sRGB colour; black counts as white."""
    red, green, blue = (_decode(c / 255) for c in (rgb if any(rgb) else (255, 255, 255)))
    x = 0.4124564 * red + 0.3575761 * green + 0.1804375 * blue
    y = 0.2126729 * red + 0.7151522 * green + 0.0721750 * blue
    z = 0.0193339 * red + 0.1191920 * green + 0.9503041 * blue
    return round(x / (x + y + z), 4), round(y / (x + y + z), 4)


def same(a: str, b: str) -> bool:
    """Whether a lamp that shows `a` has done what was asked with `b`: near in hue, or both pale."""
    if a.strip().lower() == b.strip().lower():
        return True
    rgb_a, rgb_b = to_rgb(a), to_rgb(b)
    if rgb_a is None or rgb_b is None:
        return False
    (hue_a, sat_a), (hue_b, sat_b) = to_hs(rgb_a), to_hs(rgb_b)
    pale = 100 * _PALE
    if sat_a < pale or sat_b < pale:
        return sat_a < 2 * pale and sat_b < 2 * pale
    apart = abs(hue_a - hue_b)
    return min(apart, 360 - apart) <= _SAME_HUE


def _encode(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def _decode(encoded: float) -> float:
    return encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4
