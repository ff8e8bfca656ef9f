"""Plugin suites, as a user writes and installs them."""

from ..plugin_packages import make_plugin as make_plugin
