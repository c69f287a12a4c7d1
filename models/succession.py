"""Whether a new model may take the place of the one in use: it passes the gate, and is not worse on the same frames."""

from quietscope.models.gate import Verdict

__all__ = ["succeed"]

_ERROR = "pair_error_model"


def succeed(new: Verdict, old: Verdict) -> Verdict:
    """Hold a verdict against that on the model in use.

    The error of a model on pairs of images with independent noise is its own error plus the noise of the targets. The
    latter is the same for both if the pairs are: so the difference tells which model is nearer to the truth.

    Parameters
    ----------
    new, old
        Verdicts of `quietscope.models.gate.judge` on the same frames with the same seed.

    Returns
    -------
    Verdict
        The new model's, refused if the old one predicts the pairs better; with ``pair_error_in_use`` among its figures.
    """
    mine, theirs = new.figures.get(_ERROR), old.figures.get(_ERROR)
    figures = {**new.figures, "pair_error_in_use": theirs}
    if not (isinstance(mine, float) and isinstance(theirs, float)):
        return Verdict(new.accepted, new.reasons, figures)
    difference = f"{abs(mine / theirs - 1):.2%}" if theirs > 0 else "much"
    if mine <= theirs:
        better = f"on frames that are new to both its error is {difference} below that of the model in use"
        return Verdict(new.accepted, (*new.reasons, better) if new.accepted else new.reasons, figures)
    worse = f"the model in use does better on frames that are new to both (by {difference})"
    reasons = (worse,) if new.accepted else (*new.reasons, worse)
    return Verdict(accepted=False, reasons=reasons, figures=figures)
