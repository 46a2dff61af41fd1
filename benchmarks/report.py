"""The page on speed, from the files in benchmarks/results."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

GROWTH = "images/growth.png"
MARKERS = ("<!-- performance: made by `make benchmark` -->", "<!-- end of performance -->")
#: Ratio: (what it says, what was aimed at).
MEANINGS = {
    "train_float32_vs_torch_float32": ("training, ours over eager PyTorch, both float32", "at least 1.25"),
    "train_bfloat16_vs_torch_float32": ("training, ours in bfloat16 over eager PyTorch in float32", "at least 1.8"),
    "train_best_vs_torch_best": ("training, ours over PyTorch, each in its best setting", "at least 1.0"),
    "fused_vs_stock_norm": ("training, fused over Keras' own batch norm", ""),
    "gated_vs_plain_step_time": ("time of training with three tasks and gate over plain LDAM", "at most 1.05"),
    "look_ahead_vs_plain_step_time": ("time of training with the look-ahead gate over plain LDAM", "at most 1.10"),
    "fast_vs_torch_best": ("training, an epoch of `fast` over one of the paper's settings in PyTorch's best", ""),
    "fit_vs_bare_steps_time": ("time of an epoch in `fit` over its steps run bare", "at most 1.05"),
    "pipeline_vs_training": ("input pipeline alone over what training consumes", "at least 30"),
    "evaluate_vs_torch": ("evaluation of 10,000 images, ours over PyTorch", "at least 1.0"),
    "onnx_vs_keras_batch_1": ("inference one by one, ONNX over Keras", ""),
    "onnx_vs_keras_batch_256": ("inference in batches of 256, ONNX over Keras", ""),
}


def markdown(results: dict[str, Any]) -> str:
    """One machine's figures as tables."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items() if name != "keras_gssl")
    features = ", ".join(results["bfloat16_instructions"])
    rounds = len(next(iter(results["measured"].values()))["images_per_second_rounds"])
    lines = [
        f"{results['hardware']}{f' with {features}' if features else ''}; Python {results['python']}, {versions}. "
        f"{rounds} rounds, the variants in turn; a training round is {results['steps_per_round']} steps of 128 images.",
        "",
        "| ratio | median | rounds | aim |",
        "|---|---|---|---|",
    ]
    for name, ratio in results["ratios"].items():
        meaning, aim = MEANINGS[name]
        lines.append(f"| {meaning} | {ratio['median']:.2f} | {_range(ratio['rounds'])} | {aim} |")
    lines += ["", "| measured | images/s, median | rounds | peak memory |", "|---|---|---|---|"]
    for name, entry in results["measured"].items():
        speeds = entry["images_per_second_rounds"]
        memory = f"{entry['peak_memory_mib']:,.0f} MiB" if "peak_memory_mib" in entry else "not measured"
        lines.append(f"| `{name}` | {statistics.median(speeds):,.0f} | {_range(speeds, 0)} | {memory} |")
    if results["seconds_to_first_step"]:
        lines += ["", "| from process start to the first finished training step | seconds, median | rounds |"]
        lines.append("|---|---|---|")
    for name, start in results["seconds_to_first_step"].items():
        lines.append(f"| `{name}` | {start['median']:.1f} | {_range(start['rounds'], 1)} |")
    return "\n".join(lines) + "\n"


def _range(values: list[float], digits: int = 2) -> str:
    return f"{min(values):,.{digits}f} to {max(values):,.{digits}f}"


def reading(results: dict[str, Any]) -> str:
    """How fast pictures are read from disk, in words and as a table."""
    return (
        "Pictures that stay on disk (`python -m benchmarks.reading`): JPEG files of 500x375 pixels to squares, by two "
        f"workers (Keras' own: as many as it likes) on {results['hardware']}. Keras' own does not filter while it "
        "shrinks; the others do. "
        "Pictures that fit into half of the free memory are read once and kept: this counts for larger sets alone.\n\n"
        + reading_table(results["pictures_per_second"])
        + "\n"
    )


def reading_table(speeds: dict[str, dict[str, list[float]]]) -> str:
    """Pictures per second of each reader and round, in Markdown."""
    lines = ["| side | reader | pictures/s, median | rounds | ours over it |", "|---|---|---|---|---|"]
    for side, by_name in speeds.items():
        for name, values in by_name.items():
            ratios = [one / other for one, other in zip(by_name["ours"], values, strict=True)]
            lines.append(
                f"| {side} | {name} | {statistics.median(values):,.0f} | {min(values):,.0f} to {max(values):,.0f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
            )
    return "\n".join(lines)


def write_into(page: Path, folder: Path) -> None:
    """Replace what is between the marks in a file by what the folder's results say."""
    from keras_gssl.recipes.tables.command import write_between_marks

    machines = [*sorted(folder.glob("cpu*.json")), *sorted(folder.glob("gpu*.json"))]
    parts = [markdown(json.loads(path.read_text())) for path in machines]
    if (folder / "reading.json").exists():
        parts.append(reading(json.loads((folder / "reading.json").read_text())))
    if (page.parent / GROWTH).exists():
        parts.append(
            "How cost and memory grow (`python -m benchmarks.growth`):\n\n"
            "![Cost per image and peak memory by image size, tasks, batch size and data set size]"
            f"({GROWTH})\n"
        )
    write_between_marks(page, "\n".join(parts), MARKERS)
    print(f"Written into {page}")


if __name__ == "__main__":
    write_into(Path(sys.argv[1]), Path(__file__).parent / "results")
