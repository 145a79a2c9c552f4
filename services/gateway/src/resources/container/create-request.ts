import { z } from 'zod';
import { ENDPOINT } from './endpoint-request.ts';
import { HOST_CONFIG } from './host-config-request.ts';
import {
  absentable,
  flag,
  integer,
  knownFields,
  nameSet,
  text,
  textMap,
  texts,
  unbuilt,
  words,
} from './lenient-object.ts';

export const HEALTHCHECK = knownFields({
  Test: texts,
  Interval: integer,
  Timeout: integer,
  Retries: integer,
  StartPeriod: integer,
  StartInterval: integer,
});

/** Docker's container config. */
export const CONFIG_FIELDS = {
  Hostname: text,
  Domainname: text,
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: nameSet,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: words,
  Entrypoint: words,
  Healthcheck: absentable(HEALTHCHECK),
  ArgsEscaped: unbuilt(),
  Image: text,
  Volumes: nameSet,
  WorkingDir: text,
  NetworkDisabled: flag,
  MacAddress: text,
  OnBuild: unbuilt(),
  Labels: textMap,
  StopSignal: text,
  StopTimeout: integer,
  Shell: texts,
};

/** The body of POST /containers/create. */
export const CREATE_REQUEST = knownFields({
  ...CONFIG_FIELDS,
  HostConfig: absentable(HOST_CONFIG),
  NetworkingConfig: absentable(knownFields({ EndpointsConfig: absentable(z.record(z.string(), ENDPOINT.nullable())) })),
  // dockerode sends its own options along.
  name: z.unknown().optional(),
  platform: z.unknown().optional(),
  abortSignal: z.unknown().optional(),
  _query: z.unknown().optional(),
  _body: z.unknown().optional(),
});

export type CreateRequest = z.output<typeof CREATE_REQUEST>;
