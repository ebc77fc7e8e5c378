#!/bin/sh
# Stands between the server and workerd (Miniflare starts the program named by MINIFLARE_WORKERD_PATH) so that workerd can
# never outlive the server, whatever signal ends it: file descriptor 3 is a socket whose other end only the server holds, so
# reading from it returns when that process is gone, and then workerd is killed. After `exec` this shell's process id is
# workerd's. Terminal signals go to the server alone; it ends workerd itself.
trap '' INT HUP
echo "$$" >"$QUORATE_WORKERD_PID_FILE"
(
  read -r _ <&3
  kill -KILL "$$"
) </dev/null >/dev/null 2>&1 &
exec "$QUORATE_WORKERD" "$@"
