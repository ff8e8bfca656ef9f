"""`metabench doctor` is run as the other verbs are."""

from ..cli.conftest import command as command
from ..cli.conftest import place as place
