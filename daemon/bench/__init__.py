"""``quietscope bench``: what this machine does, beside what others do on it and what it could do at most."""
