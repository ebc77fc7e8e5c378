// Which clients are tried, what each needs, and what its program does. A program gets the address (host:port) as its
// last word. Behind each step it prints `done STEP`. It prints `restart` where the server is to be killed, and reads a
// line once it is served again.

export type Client = {
  /** The folder of its program, too. */
  readonly name: string;
  readonly library: string;
  /** What must be on PATH. */
  readonly tools: readonly string[];
  /** Run in a copy of its folder, which is kept, so what was fetched once is there. */
  readonly prepare: readonly (readonly string[])[];
  /** The program, which gets the address as its last word. */
  readonly run: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

/** What every program does, in this order. It prints `done NAME` behind each. */
export const steps: readonly string[] = [
  'put',
  'get',
  'txn',
  'delete',
  'watch',
  'watch-resume',
  'lease',
  'lock',
  'election',
  'auth',
];

const pip = ['venv/bin/pip', 'install', '--quiet', '--disable-pip-version-check'];
/** etcd3 has a setup.py, which newer versions of pip run only where these are. */
const python = [
  ['python3', '-m', 'venv', 'venv'],
  [...pip, 'setuptools', 'wheel'],
  [...pip, '--no-build-isolation', '-r', 'requirements.txt'],
];

export const clients: readonly Client[] = [
  {
    name: 'go',
    library: 'go.etcd.io/etcd/client/v3',
    tools: ['go'],
    prepare: [['go', 'build', '-o', 'program', '.']],
    run: ['./program'],
    environment: {},
  },
  {
    name: 'etcd3-python',
    library: 'etcd3 for Python',
    tools: ['python3'],
    prepare: python,
    run: ['venv/bin/python', 'program.py'],
    // Its messages were generated for an older protobuf.
    environment: { PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION: 'python' },
  },
  {
    name: 'aetcd-python',
    library: 'aetcd for Python',
    tools: ['python3'],
    prepare: python,
    run: ['venv/bin/python', 'program.py'],
    environment: {},
  },
  {
    name: 'node',
    library: 'etcd3 for Node',
    tools: ['node', 'npm'],
    prepare: [['npm', 'ci', '--no-audit', '--no-fund']],
    run: ['node', 'program.mjs'],
    environment: {},
  },
  {
    name: 'java',
    library: 'jetcd',
    tools: ['java', 'mvn'],
    prepare: [['mvn', '-q', '-B', 'package', 'dependency:copy-dependencies']],
    run: ['java', '-cp', 'target/classes:target/dependency/*', 'Program'],
    environment: {},
  },
  {
    name: 'rust',
    library: 'etcd-client for Rust',
    tools: ['cargo', 'protoc'],
    prepare: [['cargo', 'build', '--release', '--locked', '--quiet']],
    run: ['target/release/program'],
    environment: {},
  },
];
