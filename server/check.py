"""Asks the HTTP scorer for one prediction: `python -m server.check`. If none comes, status 1 and one line say why.

The prediction is marked as a test: it is stored, but counted in no figure.
"""

from __future__ import annotations

import sys

import requests

from scorehouse.access import bearer
from scorehouse.environment import settings_or_exit


def main() -> None:
    """Send the scorer's own example to /predict, and print which run answered what."""
    settings = settings_or_exit()
    scorer = f"http://{settings.serve_address}:{settings.scorer_port}"
    try:
        example = requests.get(f"{scorer}/example", headers=bearer(settings), timeout=10)
        example.raise_for_status()
        response = requests.post(
            f"{scorer}/predict", json={**example.json(), "test": True}, headers=bearer(settings), timeout=10
        )
        response.raise_for_status()
        answer = response.json()
    except (requests.RequestException, ValueError) as error:
        sys.exit(f"check: no prediction from {scorer}: {error}; its /readyz shows what is wrong")
    run_id = answer.pop("model_run_id")
    shown = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in answer.items() if key != "prediction_id")
    sys.stdout.write(f"run {run_id} predicts {shown}\n")


if __name__ == "__main__":
    main()
