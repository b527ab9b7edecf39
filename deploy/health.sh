#!/bin/sh
# The health check of the image: the service touches this file every 2 s for as long as its event loop turns.
# One that can't be found is reported by find.
[ -n "$(find "$DITTO_LIVENESS_FILE" -newermt '15 seconds ago')" ] || {
  echo "the service has not touched $DITTO_LIVENESS_FILE for 15 s"
  exit 1
}
