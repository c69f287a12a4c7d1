"""The napari plug-in: opens the folder of a run, and follows a run that is going on.

napari and Qt are imported where they are used, so that this package can be imported without them. What it knows of
a run it takes from the store's own metadata and from the viewers' wire; it is a viewer like any other.
"""
