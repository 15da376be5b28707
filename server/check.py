"""Asks the HTTP scorer for one prediction: `python -m server.check`; status 1 and one line where none comes."""

from __future__ import annotations

import sys

import requests

from scorehouse.environment import settings_or_exit


def main() -> None:
    """Send the door's own example to /predict, and say which run answered what."""
    settings = settings_or_exit()
    door = f"http://{settings.serve_address}:{settings.scorer_port}"
    try:
        example = requests.get(f"{door}/example", timeout=10)
        example.raise_for_status()
        answered = requests.post(f"{door}/predict", data=example.content, timeout=10, headers={
            "Content-Type": "application/json",
        })  # fmt: skip
        answered.raise_for_status()
        answer = answered.json()
    except (requests.RequestException, ValueError) as error:
        sys.exit(f"check: {door} does not answer as it should: {error}")
    run_id = answer.pop("model_run_id")
    said = ", ".join(f"{key} {value}" for key, value in answer.items() if key != "prediction_id")
    sys.stdout.write(f"run {run_id} answers: {said}\n")


if __name__ == "__main__":
    main()
