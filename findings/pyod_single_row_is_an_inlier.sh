#!/usr/bin/env bash
# PyOD: CD, SOS and LMDD call a row an inlier if it is the only one given, however far out it is.
#
# Package:   pyod 3.6.7 (numpy, scipy and scikit-learn as pinned below), seen on 2026-11-30
# Input:     200 standard normal rows of 3 columns for training; then the row (50, 50, 50), once
#            alone and once after 50 of the training rows
# Expected:  a fitted detector labels a row the same alone and among others: an outlier; or it
#            refuses a single row with an error, as SOD does
# Seen:      among others all three rank the row first and call it an outlier (label 1); alone its
#            score is nan (CD, SOS) or 0.0 (LMDD), no exception is raised, and predict returns 0,
#            an inlier. A stream of single rows never raises an alarm.
# Cause:     decision_function compares the given rows with each other, not with the training
#            rows; a comparison with nan is false, so the label becomes 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pyod==3.6.7 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math

import numpy as np
from pyod.models.cd import CD
from pyod.models.lmdd import LMDD
from pyod.models.sos import SOS

normal = np.random.default_rng(0).normal(size=(200, 3))
far = np.full((1, 3), 50.0)
for detector in (CD(), SOS(), LMDD()):
    name = type(detector).__name__
    detector.fit(normal)
    among = np.vstack([normal[:50], far])
    scores, labels = detector.decision_function(among), detector.predict(among)
    assert scores.argmax() == 50, f"{name}: the row is not first among others"
    assert labels[50] == 1, f"{name}: the row is not an outlier among others"
    alone, label = float(detector.decision_function(far)[0]), int(detector.predict(far)[0])
    print(f"{name}: among others label 1; alone score {alone}, label {label}")
    assert math.isnan(alone) or alone == 0.0, f"{name}: alone the row has the score {alone}"
    assert label == 0, f"{name}: alone the row is called an outlier now"
print("as described")
PYTHON
