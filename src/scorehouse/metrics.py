"""Every Prometheus metric of the product, declared once; dashboards and alerts may name no other."""

from bisect import bisect_right
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram


class BatchHistogram(Histogram):
    """A histogram that observes many values at once, for the price of one value's locks."""

    def observe_all(self, amounts: Iterable[float]) -> None:
        """Observe each of `amounts`."""
        sorted_, counted = sorted(amounts), 0
        self._sum.inc(sum(sorted_))
        for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
            within = bisect_right(sorted_, bound)
            if within > counted:
                bucket.inc(within - counted)
                counted = within


# Doors: what came, what was answered, how long it took
PREDICTIONS = Counter("scorehouse_predictions", "Predictions that were journalled and answered", ["use_case", "door"])
CALLER_PREDICTIONS = Counter(
    "scorehouse_caller_predictions",
    "Predictions by the name of the client's API key, of at most 50 names and `other`",
    ["use_case", "door", "caller"],
)
REJECTED = Counter("scorehouse_rejected_records", "Records that could not be scored", ["use_case", "door"])
OUTCOMES = Counter("scorehouse_outcomes", "Outcomes that were accepted", ["use_case"])
HTTP_REQUESTS = Counter("scorehouse_http_requests", "HTTP requests by route and status", ["route", "status"])
HTTP_SECONDS = BatchHistogram(
    "scorehouse_http_request_seconds",
    "Seconds from a request's arrival to its answer",
    ["route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
JOURNAL_FAILURES = Counter("scorehouse_journal_failures", "Answers withheld because the journal could not be written")
MACHINE_USED = Gauge(
    "scorehouse_machine_used_share",
    "Share of the machine in use: cpu since the previous measurement, memory, disk",
    ["use_case", "part"],
    multiprocess_mode="mostrecent",
)

# The stream: what was read and published, how long a batch took, how far behind it is
STREAM_IN = Counter("scorehouse_stream_records_in", "Records read from a stream", ["stream"])
STREAM_OUT = Counter("scorehouse_stream_records_out", "Entries that a stream accepted", ["stream"])
STREAM_UNPLACED = Counter(
    "scorehouse_stream_records_unplaced", "Records that neither the results nor the errors stream accepts", ["stream"]
)
STREAM_SECONDS = Histogram(
    "scorehouse_stream_batch_seconds",
    "Seconds from a batch's reading to its checkpoint",
    ["stream"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
STREAM_BEHIND = Gauge(
    "scorehouse_stream_milliseconds_behind", "Age of the oldest record not yet read", ["stream", "shard"]
)
STREAM_SHARDS = Gauge("scorehouse_stream_shards", "Shards that are read", ["stream"])
STREAM_RETRIES = Counter("scorehouse_stream_retries", "Calls that are retried", ["operation", "reason"])
STREAM_UP = Gauge("scorehouse_stream_up", "1 while the stream is responding", ["stream"])

# Deployment: what serves, and what was refused
MODEL_INFO = Gauge(
    "scorehouse_model_info",
    "1 for the serving run",
    ["use_case", "door", "model_run_id"],
    multiprocess_mode="livemax",
)
MODEL_CREATED = Gauge(
    "scorehouse_model_created_seconds",
    "When the serving run's bundle was made",
    ["use_case", "door"],
    multiprocess_mode="mostrecent",
)
MODEL_SWAPS = Counter("scorehouse_model_swaps", "Models that were swapped in", ["use_case", "door"])
MODEL_REFUSED = Gauge(
    "scorehouse_model_refused",
    "1 while the wanted run is refused and an older one serves",
    ["use_case", "door"],
    multiprocess_mode="livemax",
)
REGISTRY_UP = Gauge(
    "scorehouse_registry_up", "1 while the model registry is responding", ["door"], multiprocess_mode="livemin"
)

# The prediction log: from the journal to the store
SHIPPED = Counter("scorehouse_shipped_lines", "Journal lines moved into the store", ["kind"])
CONFLICTS = Counter("scorehouse_prediction_conflicts", "Prediction ids that were sent again with a different record")
OUTCOME_CONFLICTS = Counter("scorehouse_outcome_conflicts", "Predictions whose outcome two senders give differently")
WAITING_DROPPED = Counter("scorehouse_waiting_outcomes_dropped", "Outcomes whose prediction never came")
RETENTION_HELD = Gauge("scorehouse_retention_held", "1 while nothing is removed because the clock is not plausible")
UNREADABLE = Counter("scorehouse_unreadable_lines", "Journal lines that cannot be read and are skipped")
BACKLOG = Gauge("scorehouse_journal_backlog_bytes", "Bytes of the journal that are not stored yet")
STORE_UP = Gauge("scorehouse_store_up", "1 while the prediction store accepts records")

# A challenger in shadow: what it would have answered beside what was answered, on the newest records that it scored
_SHADOW = ["use_case", "model_run_id"]
SHADOW_RECORDS = Counter("scorehouse_shadow_records", "Records that a challenger scored in shadow", _SHADOW)
SHADOW_REJECTED = Counter("scorehouse_shadow_rejected_records", "Records that a challenger cannot score", _SHADOW)
SHADOW_DIFFERENCE = Gauge(
    "scorehouse_shadow_difference", "Challenger's predictions minus the champion's", [*_SHADOW, "figure"]
)
SHADOW_QUALITY = Gauge(
    "scorehouse_shadow_quality", "Quality of champion and challenger on the same outcomes", [*_SHADOW, "figure", "role"]
)

# The monitor: drift under the names that existing dashboards query, and our own beside them. A series lives as long
# as its run has traffic; a feature that no record of the window carries has none.
_RUN = ["dataset_name", "model_run_id"]
_FEATURE = [*_RUN, "feature", "feature_type"]  # num or cat, as Evidently says
DATASET_DRIFT = Gauge("evidently:data_drift:dataset_drift", "1 while the window fires the drift alert", _RUN)
SHARE_DRIFTED = Gauge("evidently:data_drift:share_drifted_features", "Share of the columns that drift", _RUN)
N_DRIFTED = Gauge("evidently:data_drift:n_drifted_features", "Columns that drift", _RUN)
P_VALUE = Gauge("evidently:data_drift:p_value", "P value of each column, before any correction", _FEATURE)
DRIFT_SCORE = Gauge("evidently:data_drift:drift_score", "Evidently's own score of each column", [*_FEATURE, "method"])
DRIFT_EFFECT = Gauge("scorehouse_drift_effect", "How far each column moved, 0 to 1", [*_FEATURE, "test"])
DRIFT_THRESHOLD = Gauge("scorehouse_drift_threshold", "The effect from which a column drifts", _FEATURE)
ADJUSTED_P_VALUE = Gauge("scorehouse_drift_adjusted_p_value", "P value after Holm's correction", _FEATURE)
FEATURE_DRIFTED = Gauge("scorehouse_feature_drifted", "1 while the column drifts", _FEATURE)
DRIFT_SINCE = Gauge("scorehouse_drift_since_seconds", "Since when the column drifts (Unix time)", _FEATURE)
DRIFT_CONFIRMED = Gauge(
    "scorehouse_drift_confirmed_features", "Columns that drift for long enough to fire the alert", _RUN
)
MISSING_SHARE = Gauge("scorehouse_missing_share", "Share of a column's values that are missing", [*_FEATURE, "side"])
UNSENT_SHARE = Gauge("scorehouse_unsent_share", "Share of records without the optional field", _FEATURE)
WINDOW_RECORDS = Gauge("scorehouse_window_records", "Records in the window", _RUN)
WINDOW_OLDEST = Gauge("scorehouse_window_oldest_seconds", "When its oldest record was answered (Unix time)", _RUN)
WINDOW_NEWEST = Gauge("scorehouse_window_newest_seconds", "When its newest record was answered (Unix time)", _RUN)
REJECTED_SHARE = Gauge("scorehouse_rejected_share", "Share of the last 15 minutes' records that were rejected", _RUN)
RECENT_RECORDS = Gauge("scorehouse_recent_records", "Records of the last 15 minutes, rejected ones too", _RUN)
QUALITY = Gauge(
    "scorehouse_quality",
    "Quality measured on outcomes, estimated without them, and at training",
    [*_RUN, "figure", "source"],
)
QUALITY_RECORDS = Gauge(
    "scorehouse_quality_records", "Records on which the quality was measured or estimated", [*_RUN, "source"]
)
WAITING_OUTCOMES = Gauge("scorehouse_waiting_outcomes", "Outcomes whose prediction is not known", ["dataset_name"])
MONITOR_UP = Gauge("scorehouse_monitor_up", "1 while the monitor can read the log", ["dataset_name"])
RETRAININGS = Counter("scorehouse_retrainings_started", "Trainings that drift started", ["use_case"])
UNWATCHED = Gauge("scorehouse_unwatched_run", "1 for a serving run that cannot be monitored", _RUN)
FOLLOWED = Counter("scorehouse_followed_records", "Predictions that the monitor has read", ["dataset_name"])
EVALUATION_SECONDS = Histogram(
    "scorehouse_evaluation_seconds",
    "Seconds that evaluating one window took",
    ["dataset_name"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
