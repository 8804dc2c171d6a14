/** Where the sockets of a run directory are. */
export declare function socketPaths(runDir: string): {
    guestDir: string;
    guest: string;
    control: string;
};
