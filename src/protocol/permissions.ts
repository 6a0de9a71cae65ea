/** What a token may do. Which route needs which is in src/api/permissions.ts. */
export const PERMISSIONS = ["read", "deploy", "data", "tail", "admin"] as const;
export type Permission = (typeof PERMISSIONS)[number];
