#!/bin/sh
# Writes Prometheus's targets from the environment and starts Prometheus with the arguments given: in Compose as the
# container's entrypoint; `make demo` calls it without Docker.
#
#   PROMETHEUS_TARGETS    the processes to scrape, separated by spaces: JOB=HOST:PORT
#   ALERTMANAGER_TARGET   Alertmanager's HOST:PORT
#   PROMETHEUS_FOLDER     where the configuration is written: /tmp/prometheus if not set
#   PROMETHEUS_INTERVAL   between two scrapes and two evaluations of rules: 5s if not set
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${PROMETHEUS_FOLDER:-/tmp/prometheus}
: "${PROMETHEUS_TARGETS:?set it to JOB=HOST:PORT, separated by spaces}" "${ALERTMANAGER_TARGET:?set it to HOST:PORT}"

mkdir -p "$folder"
for target in $PROMETHEUS_TARGETS; do
  printf -- '- targets: ["%s"]\n  labels: {job: "%s"}\n' "${target#*=}" "${target%%=*}"
done > "$folder/targets.yml"
printf -- '- targets: ["%s"]\n' "$ALERTMANAGER_TARGET" > "$folder/alertmanager.yml"
sed "s/_interval: 5s/_interval: ${PROMETHEUS_INTERVAL:-5s}/" "$here/prometheus.yml" > "$folder/prometheus.yml"
ln -sfn "$here/rules" "$folder/rules"

exec prometheus --config.file="$folder/prometheus.yml" "$@"
