// Orbit under PM2:  pm2 start ecosystem.config.js
// Settings come from .env in this folder; see docs/deploy.md.
const path = require("node:path");

const process_ = (role) => ({
  name: `orbit-${role}`,
  cwd: __dirname,
  script: "manage.py",
  args: role,
  interpreter: path.join(__dirname, ".venv", "bin", "python"),
  exec_mode: "fork", // Orbit starts its own workers: ORBIT_WORKERS
  instances: 1,
  // The first process drains the others, so only it needs the signal.
  treekill: false,
  kill_timeout: 50000, // milliseconds: ORBIT_DRAIN_SECONDS, the grace, and a margin
  autorestart: true,
  exp_backoff_restart_delay: 500,
  min_uptime: 5000,
  max_restarts: 1000,
  watch: false,
  out_file: path.join(__dirname, "logs", `orbit-${role}-out.log`),
  error_file: path.join(__dirname, "logs", `orbit-${role}-error.log`),
  merge_logs: true,
});

module.exports = { apps: [process_("web"), process_("cluster")] };
