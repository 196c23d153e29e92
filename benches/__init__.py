"""``make bench``: deadlocks measured against everything else that could make them, interleaved, in one run."""
