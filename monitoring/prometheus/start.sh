#!/bin/sh
# Writes Prometheus's targets from the environment and starts Prometheus with the arguments given: in Compose as the
# container's entrypoint; `make demo` calls it without Docker.
#
#   PROMETHEUS_TARGETS    the processes to scrape, separated by spaces: JOB=HOST:PORT
#   PROMETHEUS_BASIC_TARGETS    more of them, programs of others, which ask for the secret as a password (Basic)
#   ALERTMANAGER_TARGET   Alertmanager's HOST:PORT
#   SERVICE_SECRET, SERVICE_SECRET_BCRYPT    the secret of the services, which Prometheus sends to its targets, and its hash:
#       Prometheus then asks for it itself, as the password of the user `scorehouse`
#   PROMETHEUS_FOLDER     where the configuration is written: /tmp/prometheus if not set
#   PROMETHEUS_INTERVAL   between two scrapes and two evaluations of rules: 5s if not set
#
# `start.sh --ready` exits with 0 if Prometheus in this container is ready: wget would show the password in its arguments.
set -eu
umask 077
if [ "${1:-}" = --ready ]; then
  secret=$(printf 'scorehouse:%s' "$SERVICE_SECRET" | base64 | tr -d '\n')
  printf 'GET /-/ready HTTP/1.0\r\nAuthorization: Basic %s\r\n\r\n' "$secret" | busybox nc -w 5 127.0.0.1 9090 | grep -q '^HTTP/1.. 200'
  exit
fi
here=$(cd "$(dirname "$0")" && pwd)
folder=${PROMETHEUS_FOLDER:-/tmp/prometheus}
: "${PROMETHEUS_TARGETS:?set it to JOB=HOST:PORT, separated by spaces}" "${ALERTMANAGER_TARGET:?set it to HOST:PORT}"

mkdir -p "$folder"
list() {
  for target in "$@"; do
    printf -- '- targets: ["%s"]\n  labels: {job: "%s"}\n' "${target#*=}" "${target%%=*}"
  done
}
# shellcheck disable=SC2086  # lists
list $PROMETHEUS_TARGETS > "$folder/targets.yml"
# shellcheck disable=SC2086
list ${PROMETHEUS_BASIC_TARGETS:-} > "$folder/basic_targets.yml"
printf -- '- targets: ["%s"]\n' "$ALERTMANAGER_TARGET" > "$folder/alertmanager.yml"
no_secret=/#secret:/d
if [ -n "${SERVICE_SECRET:-}" ]; then
  no_secret=
  printf %s "$SERVICE_SECRET" > "$folder/secret"
  printf "basic_auth_users: {scorehouse: '%s'}\n" "$SERVICE_SECRET_BCRYPT" > "$folder/web.yml"
  set -- --web.config.file="$folder/web.yml" "$@"
fi
sed -e "s/_interval: 5s/_interval: ${PROMETHEUS_INTERVAL:-5s}/" -e "${no_secret:-s/#secret://}" "$here/prometheus.yml" > "$folder/prometheus.yml"
ln -sfn "$here/rules" "$folder/rules"

exec prometheus --config.file="$folder/prometheus.yml" "$@"
