"""The value of `MILLRACE_TRITON_URL` that runs models inside the worker."""

IN_PROCESS = "in-process"
