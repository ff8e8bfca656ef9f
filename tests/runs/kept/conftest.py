"""Records of cells that nobody ran."""

from ...synthetic_records import make as make
