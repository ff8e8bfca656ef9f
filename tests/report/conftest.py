"""Reports are made of synthetic records, too."""

from ..synthetic_records import make as make
