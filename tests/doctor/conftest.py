"""The doctor is tried through the command line."""

from ..cli.conftest import command as command
from ..cli.conftest import place as place
