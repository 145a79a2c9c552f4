import type { OperationId } from '@atoll/docker-api';

/** What of a built operation is not, and what is different: shown in `docs/docker-api.md`. */
export const OPERATION_NOTES: Readonly<Partial<Record<OperationId, string>>> = {
  ContainerCreate:
    'Fields that are not built answer 501 with their name: GPUs, storage options, driver options of endpoints other than `com.docker.network.endpoint.ifname`. A network that does not exist is 400, for clients take 404 for a missing image. Bind mounts need a constraint to one host when there are several.',
  ContainerList:
    '`ancestor` compares layers; patterns of the `id` and `name` filters may repeat at most four times, and no groups. A host that does not say sizes is left without.',
  ContainerStart: 'Without `checkpoint`.',
  ContainerUpdate: 'Limits and restart policy.',
  ContainerLogs: 'Goes on over a restart of the node agent.',
  ContainerAttachWebsocket:
    'Messages of at most 4 MiB; an `Origin` must be the host itself, unless on the unix socket.',
  ExecInspect:
    'After a restart of the node agent: exit codes of the newest 128 execs of a container; one that ended unseen answers 500.',
  ImageCommit:
    'Of the container config an image keeps what OCI has a place for; the label `atoll.constraints` stays behind.',
  ImageList: 'Without `manifests`.',
  ImageInspect: 'Without `manifests`.',
  ImageCreate: 'Pull, and import of the request body (`fromSrc=-`); import from a URL is not built.',
  ImagePush: 'One tag at a time, one platform.',
  ImageLoad: 'All platforms of the archive.',
  ImageDelete: 'Without `platforms`.',
  ImageBuild:
    'The classic builder (`version=1`, `DOCKER_BUILDKIT=0`). Not built: `remote`, `squash`, `outputs`, `ulimits`, `cgroupparent`, `securityopt`, user networks.',
  BuildPrune: 'The whole cache; limits and filters are not built.',
  NetworkCreate:
    "Drivers `bridge` and `overlay`, both over all hosts, and `macvlan` with a `parent` interface that a host has. `encrypted` where every host has WireGuard, not with macvlan. Not built: `Ingress`, ipvlan, macvlan without `parent`, VLAN interfaces made for one, and options of the bridge driver with other values than docker's defaults.",
  NetworkInspect: 'Containers of all hosts. The default bridge has a subnet on each host.',
  NetworkConnect: 'On the default bridge without links, driver options and gateway priority.',
  VolumeCreate:
    'The driver `local`, with its options `type`, `o` and `device`. A volume belongs to the host of its first use.',
  SystemAuth: 'User name and password; identity tokens are not built.',
  SystemInfo: 'Sums over all hosts; a row per host in `DriverStatus`.',
  SystemEvents: 'Events of the last hour, at most 64 MiB of them.',
  SystemDataUsage: 'The build cache is not counted.',
  SwarmInspect: 'Answers 503: no swarm exists.',
  PluginList: 'Always empty.',
  PluginInspect: 'Always 404.',
  Session: 'BuildKit.',
};
