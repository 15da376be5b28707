"""The Prefect flow that turns a table into a registered model."""

from __future__ import annotations

import os

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from model_orchestration.progress import show_progress
from model_orchestration.promote import judge_and_promote
from model_orchestration.refusals import refuse_in_one_line
from model_orchestration.schedule import cancel_waiting, reschedule
from model_orchestration.tables.outcomes import read_training_table
from model_orchestration.tables.training_table import TrainingTable
from model_orchestration.tracking.runs import Tracking
from model_orchestration.training.configuration import TunedRun, tune_run
from model_orchestration.training.search import Trial
from model_orchestration.training.training import Trained, Training
from scorehouse.bundles.signatures import Signer
from scorehouse.environment import read_settings
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.figures import figure_label
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase

NAME = "model_tuning_and_uploading"


@task(name="search", persist_result=False)
def search(training: Training, tracking: Tracking, count: int) -> list[Trial]:
    """Run the trials and log each as it finishes."""
    trials: list[Trial] = []
    metric = training.use_case.rank_by
    with show_progress("search", get_run_logger().info) as advance:
        for trial in training.search(count):
            tracking.log_trial(trial)
            trials.append(trial)
            best = training.best(trials, 1)[0].figures[metric]
            advance(len(trials) / count, f"{len(trials)} of {count} trials, best {figure_label(metric)} {best:.4f}")
    return trials


@task(name="retrain the best trials", persist_result=False)
def retrain(training: Training, tracking: Tracking, trials: list[Trial]) -> tuple[str, Trained]:
    """Retrain the best trials and log them with their bundles. Return the run and the model of the best one.

    The best one is registered last, because the newest version is the one that is promoted or deployed.
    """
    *others, best = reversed(training.best(trials, training.use_case.retrain_best))
    for trial in others:
        tracking.log_model(training, training.retrain(trial), trials)
    trained = training.retrain(best)
    return tracking.log_model(training, trained, trials), trained


@task(name="remove old trainings", persist_result=False)
def remove_old_runs(tracking: Tracking, settings: Settings) -> int:
    """Remove runs that are older than KEEP_RUNS_DAYS and that nobody needs. Return how many were removed.

    The challenger in shadow and the run in RUN_ID stay, because a process may load them at any time.
    """
    return tracking.remove_old_runs(settings.keep_runs_days, {settings.shadow_run_id, settings.run_id})


@task(name="compare with the champion", persist_result=False)
def judge(use_case: UseCase, settings: Settings, table: TrainingTable, run_id: str) -> None:
    """Judge challenger and champion on the same rows. Promote the winner if AUTO_PROMOTE is set, else recommend it."""
    report = judge_and_promote(use_case, settings, table, run_id, by_person=False if settings.auto_promote else None)
    create_markdown_artifact(key=f"{use_case.name.replace('_', '-')}-promotion", markdown=report)


@flow(name=NAME, persist_result=False)
@refuse_in_one_line
def model_tuning_and_uploading(trials: int | None = None, data: str | None = None) -> str:
    """Train, register, and return the run id of the best model. Arguments that are None come from the environment."""
    settings = read_settings(os.environ)
    if data is not None:
        settings = settings.model_copy(update={"data": data})
    run = tune_run(load_use_case(settings.use_case), settings)
    reschedule(run.configuration.retraining_cycle)
    if cancelled := cancel_waiting():
        get_run_logger().info("cancelled %d scheduled trainings that waited for this one", cancelled)
    return _train(run, read_training_table(run.use_case, run.settings), trials)


def train(run: TunedRun, table: TrainingTable) -> str:
    """Run the flow on a table that was read and checked before Prefect was started. Return the best model's run id."""

    @flow(name=NAME, persist_result=False)
    @refuse_in_one_line
    def model_tuning_and_uploading() -> str:
        return _train(run, table, None)

    return model_tuning_and_uploading()


def _train(run: TunedRun, table: TrainingTable, trials: int | None) -> str:
    logger = get_run_logger()
    use_case = run.use_case
    settings = run.settings
    logger.info("configuration: %s", run)
    for note in table.notes:
        logger.info("table: %s", note)
    signer = Signer.of(settings, settings)
    if signer is None:
        logger.warning(
            "SIGNING_KEY_FILE is empty: the model is registered unsigned, and doors with a VERIFY_KEY refuse it"
        )
    training = Training(use_case, table, settings.split_seed)
    with Tracking(settings.mlflow_address, use_case, table, str(run), signer, settings.split_seed) as tracking:
        results = search(training, tracking, trials or settings.trials or use_case.trials)
        run_id, trained = retrain(training, tracking, results)
        tracking.finish(trained.quality)
    tracking.copy_version(run_id, run.configuration.model_registry_name)
    create_table_artifact(
        key=f"{use_case.name.replace('_', '-')}-model",
        table=[{"figure": name, "value": round(value, 5)} for name, value in sorted(trained.quality.items())],
        description=f"{use_case.title} Run {run_id}, trained on {table.source}. Configuration: {run}.",
    )
    logger.info("registered a model for %s, run %s", use_case.name, run_id)
    judge(use_case, settings, table, run_id)
    if settings.keep_runs_days:
        logger.info("removed %d old runs", remove_old_runs(tracking, settings))
    return run_id
