"""How many threads linear algebra may use."""

import os


def use_one_thread() -> None:
    """Keep OpenBLAS to one thread, unless the environment says otherwise; to be called before NumPy is imported.

    Evaluations multiply many small matrices beside TensorFlow's own threads and often in several processes: threads
    that spin between the products then take the cores away from everything else.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
