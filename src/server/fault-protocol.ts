// How the server's process asks the Worker to crash a replica. Shared by fault-port's side (Node) and worker-with-faults (workerd).

export const faultPath = '/_fault/abort';
export const faultTokenHeader = 'Quorate-Fault-Token';
