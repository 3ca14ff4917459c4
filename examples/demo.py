"""Find malignant cells among benign ones: real data, learned from benign cells alone.

Run by ``make demo``; needs nothing but the installed package. The data, 569 cell samples of
the Breast Cancer Wisconsin (Diagnostic) set, ships with scikit-learn.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer


def main(out: Path) -> None:
    """Write the data as two CSV files and run the command line on them."""
    out.mkdir(parents=True, exist_ok=True)
    frame = load_breast_cancer(as_frame=True).frame
    frame["malignant"] = 1 - frame.pop("target")
    known = frame[frame["malignant"] == 0].sample(frac=0.6, random_state=0)
    benign, patients = out / "benign.csv", out / "patients.csv"
    known.drop(columns="malignant").to_csv(benign, index=False)
    frame.drop(index=known.index).to_csv(patients, index=False)
    print(f"{benign}: {len(known)} benign samples to learn from")
    print(f"{patients}: {len(frame) - len(known)} samples nobody has looked at\n")
    report, model = out / "report.html", out / "model"
    options = ["--label", "malignant", "--false-alarms", 0.05]
    run("detect", patients, "--train", benign, *options, "--report", report, "--save", model)
    print()
    run("explain", model, patients, "--row", 0)
    print(f"\nOpen {report} in a browser to see them all.")


def run(*arguments: object) -> None:
    """Print a tocsin command and run it."""
    words = [str(argument) for argument in arguments]
    print(f"$ tocsin {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "tocsin", *words], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
