"""``quietscope evaluate``: any images, any methods, one table."""
