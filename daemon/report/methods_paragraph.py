"""A paragraph for a Methods section: what was done to the images, in the past tense, with its sources."""

from quietscope.daemon.ledger_facts import ModelVerdict
from quietscope.daemon.report.markup import Html, paragraph, text
from quietscope.daemon.report.method_names import SOURCES, method_name
from quietscope.daemon.report.numbers import count, duration, plain
from quietscope.daemon.report.run_facts import RunFacts

__all__ = ["methods_paragraph"]


def methods_paragraph(facts: RunFacts) -> Html:
    """The paragraph and its references."""
    methods = sorted({str(v.figures["method"]) for v in facts.verdicts.values() if v.figures.get("method")})
    references = [f"The quietscope developers. quietscope{_version(facts, ', version ')}."]
    references += [source for method in methods for source in SOURCES.get(method, ())]
    sentences = [*_recording(facts), *_training(facts, methods), *_proof(facts), *_accounts(facts)]
    listed = "".join(f"<li>{text(reference)}</li>" for reference in references)
    return Html(
        f"{paragraph('Copy it and shorten it; every figure is of this run.', 'note')}"
        f"<blockquote>{paragraph(' '.join(sentences))}<ol>{listed}</ol></blockquote>"
    )


def _version(facts: RunFacts, before: str) -> str:
    """The version behind `before`; nothing where the run has not recorded it."""
    known = facts.history.software.get("quietscope")
    return "" if known is None else before + known


def _recording(facts: RunFacts) -> list[str]:
    series = facts.series
    if series is None:
        return ["No frame was recorded."]
    size = f"{series.width} × {series.height} pixels"
    if series.pixel_size_um:
        size += f" of {plain(1000 * series.pixel_size_um)} nm"
    pace = f", recorded in {duration(facts.recording_s)}" if facts.recording_s else ""
    live, later = len(facts.live_ns), facts.counts["denoised"] - len(facts.live_ns)
    moments = [word for word, n in (("during", live), ("after", later)) if n]
    when = f" {' and '.join(moments)} the acquisition" if moments else ""
    names = f"{count(len(series.channels), 'channel')}: {', '.join(series.channels)}"
    frames = f"{count(facts.stored, 'frame')} of {size}{pace}"
    return [f"Images ({names}; {frames}) were denoised with quietscope{_version(facts, ' ')} [1]{when}."]


def _training(facts: RunFacts, methods: list[str]) -> list[str]:
    if not methods:
        return []
    names = " and ".join(method_name(method) for method in methods)
    numbers = range(2, 2 + sum(len(SOURCES.get(method, ())) for method in methods))
    cited = f" [{', '.join(map(str, numbers))}]" if numbers else ""
    if facts.settings.training.model is not None:
        return [f"Networks that had been trained before by {names}{cited} were applied to each channel."]
    earlier = sorted(
        {str(v.figures["earlier"]["run"]) for v in facts.verdicts.values() if "earlier" in v.figures}
    )
    if earlier and all("earlier" in v.figures for v in facts.verdicts.values()):
        where = f"earlier series of the same kind ({', '.join(earlier)})"
        return [f"Networks that had been trained by {names}{cited} on {where} were applied to each channel."]
    frames = sorted({len(v.figures.get("trained_on", [])) for v in facts.verdicts.values()} - {0})
    seconds = [v.figures["training_s"] for v in facts.verdicts.values() if "training_s" in v.figures]
    many = "–".join(dict.fromkeys((f"{frames[0]}", f"{frames[-1]}"))) if frames else "first"
    spent = f" in at most {duration(max(seconds))} per channel" if seconds else ""
    learnt = f"{many} frame{'' if frames == [1] else 's'} from the beginning of the same series"
    rest = (
        [
            f"For some channels a network of an earlier series of the same kind was used ({', '.join(earlier)})."
        ]
        if earlier
        else []
    )
    return [
        f"For each channel a network was trained without clean reference images by {names}{cited} on {learnt}{spent}.",
        *rest,
    ]


def _proof(facts: RunFacts) -> list[str]:
    accepted = {c: v for c, v in facts.verdicts.items() if v.accepted}
    if not accepted:
        return ["No network passed the tests that quietscope asks for, so no frame was denoised."]
    unseen = all(v.figures.get("held_out") for v in accepted.values())
    tested = "frames that it had not been trained on" if unseen else "frames of the same series"
    figures = "; ".join(_figures(facts.name(c), v) for c, v in accepted.items())
    refused = [facts.name(c) for c, v in facts.verdicts.items() if not v.accepted]
    rest = f" No network was accepted for {' and '.join(refused)}." if refused else ""
    passed = "predicted an independent noisy image of the same scene better than four Gaussian blurs, kept intensities"
    return [
        f"Each network was used only after it had, on {tested}, {passed}, and suppressed pure noise ({figures}).{rest}"
    ]


def _figures(name: str, verdict: ModelVerdict) -> str:
    slope, error = verdict.figures.get("slope"), verdict.figures.get("slope_error")
    residue = verdict.figures.get("noise_std_ratio")
    parts = []
    if slope is not None:
        spread = f" ± {error:.3f}" if error is not None else ""
        parts.append(f"slope of raw on denoised intensities {slope:.3f}{spread}")
    if residue is not None:
        parts.append(f"{100 * residue:.0f} % of the standard deviation of pure noise remaining")
    return f"{name}: {', '.join(parts)}"


def _accounts(facts: RunFacts) -> list[str]:
    left = facts.counts["skipped"]
    sentence = f"{facts.counts['denoised']:,} of {count(facts.stored, 'frame')} were denoised"
    sentence += f" and {left:,} left as recorded." if left else "."
    return [sentence, "Raw frames were stored unaltered beside the denoised ones (OME-Zarr 0.5)."]
