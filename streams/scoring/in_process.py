"""The address that stands for a model run inside the worker instead of on a server."""

IN_PROCESS = "in-process"
