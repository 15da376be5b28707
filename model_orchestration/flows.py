"""The Prefect flow that turns a table into a registered model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from model_orchestration.promote import compared
from model_orchestration.schedule import reschedule
from model_orchestration.tables.outcomes import training_table
from model_orchestration.tables.training_table import TrainingTable
from model_orchestration.tracking.runs import Tracking
from model_orchestration.training.configuration import tuned
from model_orchestration.training.search import Trial
from model_orchestration.training.training import Trained, Training
from scorehouse.environment import read_settings
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase, load_use_case


@task(name="read the table", persist_result=False)
def read(use_case: UseCase, settings: Settings) -> TrainingTable:
    """Read the raw table and hold it against the schema; behind it the known outcomes, where they are to be learnt."""
    return training_table(use_case, settings)


@task(name="search", persist_result=False)
def search(training: Training, tracking: Tracking, count: int) -> list[Trial]:
    """Run the trials, logging each as it finishes."""
    trials: list[Trial] = []
    metric = training.use_case.rank_by
    with _progress(count) as advance:
        for trial in training.search(count):
            tracking.log_trial(trial)
            trials.append(trial)
            best = training.best(trials, 1)[0].figures[metric]
            advance(f"best {metric.replace('_', ' ')} {best:.4f}")
    return trials


@task(name="retrain the best", persist_result=False)
def retrain(training: Training, tracking: Tracking, trials: list[Trial]) -> tuple[str, Trained]:
    """Retrain the best trials, log them with their bundles, and return the best one's run and model.

    The best comes last: the newest version is what `make promote` judges.
    """
    models = []
    for trial in reversed(training.best(trials, training.use_case.retrain_best)):
        trained = training.retrain(trial)
        models.append((trial.loss, tracking.log_model(training, trained, trials), trained))
    _, run_id, trained = min(models, key=lambda m: m[0])
    return run_id, trained


@task(name="forget old trainings", persist_result=False)
def forget(tracking: Tracking, days: int) -> int:
    """Remove what is older than KEEP_RUNS_DAYS and never served; return how many runs."""
    return tracking.forget(days)


@task(name="compare with the champion", persist_result=False)
def judge(use_case: UseCase, settings: Settings, table: TrainingTable, run_id: str) -> None:
    """Judge challenger and champion on the same rows; promote where AUTO_PROMOTE says so, else recommend."""
    told = compared(use_case, settings, table, run_id, settings.auto_promote)
    create_markdown_artifact(key=f"{use_case.name.replace('_', '-')}-promotion", markdown=told)


@flow(name="model_tuning_and_uploading", persist_result=False)
def model_tuning_and_uploading(trials: int | None = None, data: str | None = None) -> str:
    """Train, register, and return the run id of the best model. What is not given comes from the environment."""
    settings = read_settings(os.environ)
    settings = settings.model_copy(update={"data": settings.data if data is None else data})
    found = tuned(load_use_case(settings.use_case), settings)
    use_case, settings = found.use_case, found.settings
    get_run_logger().info("trained by %s", found)
    reschedule(found.configuration.retraining_cycle)
    table = read(use_case, settings)
    training = Training(use_case, table, settings.split_seed)
    tracking = Tracking(settings.mlflow_address, use_case, table, str(found))
    tried = search(training, tracking, trials or settings.trials or use_case.trials)
    run_id, trained = retrain(training, tracking, tried)
    tracking.finish(trained.quality)
    tracking.copy(run_id, found.configuration.model_registry_name)
    create_table_artifact(
        key=f"{use_case.name.replace('_', '-')}-model",
        table=[{"figure": name, "value": round(value, 5)} for name, value in sorted(trained.quality.items())],
        description=f"{use_case.title} Run {run_id}, trained on {table.source} by {found}.",
    )
    get_run_logger().info("registered %s, run %s", use_case.name, run_id)
    judge(use_case, settings, table, run_id)
    if settings.keep_runs_days:
        get_run_logger().info("removed %d old runs", forget(tracking, settings.keep_runs_days))
    return run_id


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar where a person watches, a line in the run's log each tenth trial where not."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        logger, done = get_run_logger(), 0

        def say(words: str) -> None:
            nonlocal done
            done += 1
            if done % 10 == 0 or done == total:
                logger.info("trial %d of %d, %s", done, total, words)

        yield say
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]search"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=console) as bar:
        work = bar.add_task("search", total=total, words="")
        yield lambda words: bar.update(work, advance=1, words=words)
