#!/bin/sh
# Alertmanager cannot read its configuration from the environment: this script writes it, then starts Alertmanager with
# the script's own arguments. Compose uses it as the container's entrypoint; without Docker, call it yourself.
# A receiver without its variable is left out.
#
#   ALERT_WEBHOOK_URL    receives a POST for each group of alerts, firing and resolved
#   ALERT_EMAIL_TO       receives a mail for the same; needs ALERT_SMTP_ADDRESS (host:port) and ALERT_EMAIL_FROM
#   ALERT_SMTP_USER, ALERT_SMTP_PASSWORD    if the mail server asks for them; ALERT_SMTP_TLS=false if it has no TLS
#   ALERT_GROUP_WAIT, ALERT_GROUP_INTERVAL, ALERT_REPEAT_INTERVAL    10s, 30s and 4h unless set
#   SERVICE_SECRET_BCRYPT    the hash of the password that Alertmanager asks for (user `scorehouse`); none if not set
#   ALERTMANAGER, ALERTMANAGER_CONFIG       the program to start, and the path of the configuration
#
# `start.sh --ready` exits with 0 if Alertmanager in this container is ready. It sends SERVICE_SECRET, the password.
set -eu
umask 077
if [ "${1:-}" = --ready ]; then
  secret=$(printf 'scorehouse:%s' "$SERVICE_SECRET" | base64 | tr -d '\n')
  printf 'GET /-/ready HTTP/1.0\r\nAuthorization: Basic %s\r\n\r\n' "$secret" | busybox nc -w 5 127.0.0.1 9093 | grep -q '^HTTP/1.. 200'
  exit
fi
config=${ALERTMANAGER_CONFIG:-/tmp/alertmanager.yml}

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

{
  cat <<YAML
route:
  receiver: people
  group_by: [alertname, dataset_name, use_case]
  group_wait: ${ALERT_GROUP_WAIT:-10s}
  group_interval: ${ALERT_GROUP_INTERVAL:-30s}
  repeat_interval: ${ALERT_REPEAT_INTERVAL:-4h}
inhibit_rules:
  - source_matchers: ['alertname="StoreDown"']
    target_matchers: ['alertname="LogBacklog"']
receivers:
  - name: people
YAML
  if [ -n "${ALERT_WEBHOOK_URL:-}" ]; then
    echo "    webhook_configs:"
    echo "      - {url: $(quoted "$ALERT_WEBHOOK_URL"), send_resolved: true}"
  fi
  if [ -n "${ALERT_EMAIL_TO:-}" ]; then
    : "${ALERT_SMTP_ADDRESS:?ALERT_EMAIL_TO needs the mail server as host:port: set ALERT_SMTP_ADDRESS}" "${ALERT_EMAIL_FROM:?ALERT_EMAIL_TO needs a sender: set ALERT_EMAIL_FROM}"
    echo "    email_configs:"
    echo "      - to: $(quoted "$ALERT_EMAIL_TO")"
    echo "        from: $(quoted "$ALERT_EMAIL_FROM")"
    echo "        smarthost: $(quoted "$ALERT_SMTP_ADDRESS")"
    echo "        require_tls: ${ALERT_SMTP_TLS:-true}"
    echo "        send_resolved: true"
    if [ -n "${ALERT_SMTP_USER:-}" ]; then
      echo "        auth_username: $(quoted "$ALERT_SMTP_USER")"
      echo "        auth_password: $(quoted "${ALERT_SMTP_PASSWORD:-}")"
    fi
  fi
} > "$config"

if [ -n "${SERVICE_SECRET_BCRYPT:-}" ]; then
  printf "basic_auth_users: {scorehouse: '%s'}\n" "$SERVICE_SECRET_BCRYPT" > "$config.web"
  set -- --web.config.file="$config.web" "$@"
fi
exec "${ALERTMANAGER:-alertmanager}" --config.file="$config" "$@"
