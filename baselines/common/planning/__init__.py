"""Acting with a model of an unknown task: planning, and policies learned in imagination, for any model of a support."""
