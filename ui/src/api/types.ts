// SPDX-License-Identifier: Apache-2.0
// Generated from docs/openapi.json by `npm run types`: do not edit.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Every error, whatever the status. */
        Error: {
            error: {
                /** @description A word for programs. */
                code: string;
                /** @description A sentence for people: what is wrong and what to do. */
                message: string;
                /** @description The parameter or key at fault; null where it is none of them. */
                field: string | null;
            };
        };
        /** @description What an answer rests on. */
        Coverage: {
            /**
             * Format: int64
             * @description Hosts with a batch in the range.
             */
            hosts_reporting: number;
            /**
             * Format: int64
             * @description Hosts that should have reported in it.
             */
            hosts_expected: number;
            /**
             * Format: int64
             * @description Sampling periods or events the answer rests on.
             */
            samples: number;
            /** @description Share of those whose stack is complete; null: there are none. */
            complete_share: number | null;
            /**
             * Format: int64
             * @description Sampling periods lost in the range, over all stages of the loss ledger.
             */
            lost: number;
            /** @description What a limit cut off, and how much; null: nothing. */
            truncated: {
                what: string;
                /** Format: int64 */
                cut: number;
            } | null;
            /** @description The samples by why their user stack ends (names as in /api/v1/ledger); those that are not 0. */
            reasons: {
                [key: string]: number;
            };
        };
        Health: {
            /**
             * @description degraded: the store's last write failed; nothing is lost, it is repeated.
             * @enum {string}
             */
            status: "ok" | "degraded";
            version: string;
            /** Format: int64 */
            uptime_s: number;
            store: {
                driver: string;
                /** @description The engine's. */
                version: string;
                /** @description Of the last write, if it failed. */
                error: string | null;
            };
            buffer: {
                /** Format: int64 */
                batches: number;
                /** Format: int64 */
                bytes: number;
                /** Format: int64 */
                capacity_bytes: number;
            };
        };
        Ready: {
            ready: boolean;
            checks: {
                [key: string]: string;
            };
        };
        ProfileTypes: {
            types: {
                name: string;
                /**
                 * @description The unit of all values in this answer.
                 * @enum {string}
                 */
                unit: "nanoseconds" | "samples" | "count";
                title: string;
                /** @description There are samples of it in the range. */
                available: boolean;
            }[];
        };
        Labels: {
            labels: string[];
            coverage: components["schemas"]["Coverage"];
        };
        LabelValues: {
            label: string;
            /** @description By samples, descending. */
            values: {
                /** @description "": samples without the label. */
                value: string;
                /** Format: int64 */
                samples: number;
            }[];
            coverage: components["schemas"]["Coverage"];
        };
        Service: {
            service: string;
            /**
             * Format: int64
             * @description In the answer's unit.
             */
            value: number;
            /** Format: int64 */
            samples: number;
            /** @description Of total_value. */
            share: number;
            /** Format: int64 */
            hosts: number;
            complete_share: number | null;
            /**
             * Format: int64
             * @description In the same length of time right before; null: no data then.
             */
            previous_value: number | null;
            /**
             * Format: int64
             * @description In the same range 24 hours earlier; null: no data then.
             */
            previous_day_value: number | null;
            /** @description The function whose own value grew most against the previous range. */
            largest_riser: {
                function: string;
                module: string;
                /** Format: int64 */
                value: number;
                /** Format: int64 */
                previous_value: number;
            } | null;
        };
        Services: {
            type: string;
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            /** @description By value, descending. */
            services: components["schemas"]["Service"][];
            /** Format: int64 */
            total_value: number;
            previous: {
                /**
                 * Format: int64
                 * @description Unix milliseconds.
                 */
                from: number;
                /**
                 * Format: int64
                 * @description Unix milliseconds.
                 */
                to: number;
            };
            coverage: components["schemas"]["Coverage"];
        };
        Agent: {
            /** @description A UUID. */
            id: string;
            host: string;
            version: string;
            kernel: string;
            arch: string;
            /** Format: int64 */
            cpus: number;
            /**
             * @description stale: silent for 30 s; left: it said that it stops.
             * @enum {string}
             */
            state: "ok" | "stale" | "left";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            first_seen: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            last_seen: number;
            /**
             * Format: int64
             * @description Counts the agent's starts.
             */
            epoch: number;
            modes: string[];
            /**
             * Format: int64
             * @description Samples a second and busy CPU that were asked for.
             */
            frequency_hz: number;
            /**
             * Format: int64
             * @description Of so many periods one is sampled now, and stands for all: more than 1 where the agent would exceed its CPU budget.
             */
            stride: number;
            /** Format: int64 */
            queued_batches: number;
            cost: {
                /**
                 * Format: int64
                 * @description Of its process, since its start.
                 */
                cpu_user_ns: number;
                /**
                 * Format: int64
                 * @description Of its BPF programs, since its start.
                 */
                cpu_bpf_ns: number;
                /** @description Of the whole host, between its last two batches; null: not known yet. */
                cpu_share: number | null;
                /** Format: int64 */
                rss_bytes: number;
                /** Format: int64 */
                map_bytes: number;
            };
            /**
             * Format: int64
             * @description Sampling periods accepted.
             */
            samples: number;
            complete_share: number | null;
            /** @description Samples by why their user stack ends; those that are not 0. */
            reasons: {
                [key: string]: number;
            };
            /** Format: int64 */
            lost: number;
        };
        Agents: {
            /** @description By host. */
            agents: components["schemas"]["Agent"][];
            /** Format: int64 */
            hosts_expected: number;
            /** @description What starts an agent that pushes here. */
            install_command: string;
        };
        LedgerEntry: {
            name: string;
            text: string;
            /** Format: int64 */
            count: number;
        };
        LedgerStage: {
            stage: string;
            in: components["schemas"]["LedgerEntry"];
            out: components["schemas"]["LedgerEntry"];
            losses: components["schemas"]["LedgerEntry"][];
            /**
             * Format: int64
             * @description in - out - the sum of losses: 0 when every sample is accounted for. What is under way between two counters shows here for a moment.
             */
            balance: number;
        };
        /** @description Sums over what the store keeps and what has come since, in sampling periods; the stages "ingest" and "store" are the aggregator's own and count from its start. */
        Ledger: {
            stages: components["schemas"]["LedgerStage"][];
            /** @description Samples by why their user stack ends, all reasons. */
            reasons: components["schemas"]["LedgerEntry"][];
            coverage: components["schemas"]["Coverage"];
        };
        /** @description Parallel columns in preorder; node 0 is the root, "all". Siblings go by total, descending; "(other)" holds what max_nodes folded and comes last. */
        Nodes: {
            /** @description 0 for the root; a node's parent is the nearest earlier node one less deep. */
            depth: number[];
            /** @description Indices into strings. */
            name: number[];
            /** @description Indices into strings: the base name of the file; 0 unknown. */
            module: number[];
            kind: number[];
            /** @description Of the node and all below it. */
            total: number[];
            self: number[];
        };
        /** @description Parallel columns in preorder; node 0 is the root, "all". Siblings go by total, descending; "(other)" holds what max_nodes folded and comes last. */
        DiffNodes: {
            /** @description 0 for the root; a node's parent is the nearest earlier node one less deep. */
            depth: number[];
            /** @description Indices into strings. */
            name: number[];
            /** @description Indices into strings: the base name of the file; 0 unknown. */
            module: number[];
            kind: number[];
            /** @description Of side b. */
            total: number[];
            self: number[];
            /** @description Of side a. */
            total_a: number[];
            /** @description Of side a. */
            self_a: number[];
        };
        FlameGraph: {
            type: string;
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            filter: string;
            coverage: components["schemas"]["Coverage"];
            /**
             * Format: int64
             * @description Of the root: exact, whatever was folded.
             */
            total: number;
            /**
             * Format: int64
             * @description Nodes that max_nodes folded into "(other)" nodes.
             */
            folded_nodes: number;
            /**
             * Format: int64
             * @description What those hold.
             */
            folded_total: number;
            nodes: components["schemas"]["Nodes"];
            /** @description [0] is "". */
            strings: string[];
        };
        TopFunctions: {
            type: string;
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            functions: {
                function: string;
                /** @description "" unknown. */
                module: string;
                /** @description Source file; "" unknown. */
                file: string;
                /**
                 * Format: int64
                 * @description Of the function's first instruction; 0 unknown.
                 */
                line: number;
                /**
                 * Format: int64
                 * @description 0 native, 1 kernel, 2 JIT, 3 inlined, 4 GPU.
                 */
                kind: number;
                /** Format: int64 */
                self: number;
                /** Format: int64 */
                total: number;
            }[];
            /**
             * Format: int64
             * @description Of everything selected: what shares are taken of.
             */
            total: number;
            coverage: components["schemas"]["Coverage"];
        };
        Store: {
            driver: string;
            /** @description The engine's. */
            version: string;
            /** @description Where the data lies on the aggregator's machine. */
            folder: string;
            /**
             * Format: int64
             * @description How long profiles are kept, in seconds; a day goes whole.
             */
            retention_s: number;
            /** @description The first UTC day that has samples; null: none has yet. */
            oldest_day: string | null;
            /**
             * Format: int64
             * @description On disk, all tables.
             */
            bytes: number;
            /** @description Those that hold rows, by bytes, descending. */
            tables: {
                table: string;
                /** Format: int64 */
                rows: number;
                /**
                 * Format: int64
                 * @description On disk.
                 */
                bytes: number;
            }[];
        };
        Locks: {
            /** @description lock:nanoseconds. */
            type: string;
            /**
             * @description nanoseconds.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            /** @description In the order asked for. */
            locks: {
                service: string;
                host: string;
                pid: string;
                /** @description Its address in the process. */
                lock: string;
                /** @description mutex, rwlock, condition, semaphore, barrier, join, once, park (a thread without work) or, where the stack does not say, futex. */
                kind: string;
                /** @description Whether waits of that kind are contention. */
                contended: boolean;
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
                /** @description ns of that of everything selected. */
                share: number | null;
                /**
                 * Format: int64
                 * @description Different names of threads that waited.
                 */
                waiters: number;
                /**
                 * Format: int64
                 * @description Different names of threads that ended a wait, where known.
                 */
                wakers: number;
                /** @description Which waited longest: the innermost outside the primitive itself. */
                function: string;
                module: string;
            }[];
            /** @description Who waited for whom, over all locks selected, in the order asked for. */
            pairs: {
                service: string;
                /** @description The thread that waited. */
                waiter: string;
                /** @description The thread that ended the wait; "": a time-out, a signal, or nobody saw who. */
                waker: string;
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
            }[];
            /** @description All waits selected. */
            total: {
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
            };
            /** @description Of those, waits under the agent's threshold, of which only the sum is known. */
            short: {
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
            };
            /** @description What the limit left out of locks. */
            other_locks: {
                /** Format: int64 */
                locks: number;
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
            };
            /** @description What the limit left out of pairs. */
            other_pairs: {
                /** Format: int64 */
                pairs: number;
                /**
                 * Format: int64
                 * @description Waits that ended.
                 */
                count: number;
                /**
                 * Format: int64
                 * @description How long they took, so far where they have not ended.
                 */
                ns: number;
            };
            coverage: components["schemas"]["Coverage"];
        };
        Modules: {
            type: string;
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            /** @description By total, descending. */
            modules: {
                /** @description Path as the process saw it, [kernel], [jit] …; "" unknown. */
                module: string;
                /** @description "": the file has none, or it is no file. */
                build_id: string;
                /**
                 * Format: int64
                 * @description 0 native, 1 kernel, 2 JIT, 3 inlined, 4 GPU.
                 */
                kind: number;
                /**
                 * Format: int64
                 * @description Of stacks that pass through a frame without a symbol in this module. A stack may pass through several modules.
                 */
                total: number;
                /**
                 * Format: int64
                 * @description Of stacks that end in such a frame.
                 */
                self: number;
                /** @description total of everything selected. */
                share: number | null;
                /**
                 * Format: int64
                 * @description Different frames without a symbol.
                 */
                frames: number;
            }[];
            /**
             * Format: int64
             * @description Of everything selected: what shares are taken of.
             */
            total: number;
            coverage: components["schemas"]["Coverage"];
        };
        MissingSymbols: {
            build_id: string;
            /** @description ELF virtual addresses, ascending. */
            offsets: number[];
            /**
             * Format: int64
             * @description All such addresses, those before `after` and past `limit` too.
             */
            total: number;
            /**
             * Format: int64
             * @description Of total, those without any symbol.
             */
            unnamed: number;
        };
        PutSymbolsRequest: {
            build_id: string;
            /** @description By offset, ascending, each once. */
            symbols: {
                /** Format: int64 */
                offset: number;
                /** @description The function that holds the code, then what is inlined at this address, outermost first. */
                functions: {
                    /** @description Demangled. */
                    name: string;
                    /** @description As in the symbol table; not given: the same. */
                    system_name?: string;
                    /** @description Source file. */
                    file?: string;
                    /** @description Of this place; for a function with others inlined, of the call. */
                    line?: number;
                    /** @description Where the function begins. */
                    start_line?: number;
                }[];
            }[];
        };
        PutSymbols: {
            /**
             * Format: int64
             * @description Addresses that were named.
             */
            stored: number;
            /**
             * Format: int64
             * @description Better is known of them already.
             */
            unchanged: number;
            /**
             * Format: int64
             * @description No sample has them.
             */
            unknown: number;
        };
        Series: {
            type: string;
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /** Format: int64 */
            step_ms: number;
            /**
             * Format: int64
             * @description Aligned outward to the step. Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Aligned outward to the step. Unix milliseconds.
             */
            to: number;
            /** @description Where each step begins. */
            times: number[];
            /** @description By total, descending. */
            series: {
                /** @description Of the label; "" where `by` is not given. */
                value: string;
                /** @description One a step; null: no host reported in it, 0: reported and there was none. */
                values: (number | null)[];
                /** Format: int64 */
                total: number;
            }[];
            /** @description The sum of the series beyond `top`; null: there are none. */
            other: {
                /**
                 * Format: int64
                 * @description How many series that is.
                 */
                count: number;
                /** @description One a step; null: no host reported in it, 0: reported and there was none. */
                values: (number | null)[];
            } | null;
            coverage: components["schemas"]["Coverage"];
        };
        SyscallRow: {
            /** @description `read`; `syscall_600` where the agent knows no name. */
            syscall: string;
            /** @description Whose numbers they are: x86-64, i386, x32, arm64, arm. */
            abi: string;
            /** @description Of the label asked for with `by`. */
            value?: string;
            count: number;
            /** @description Calls a second of the time in which hosts reported; null: none did. */
            rate: number | null;
            /** @description The others never return: exit, exit_group, rt_sigreturn. */
            returned: number;
            errors: number;
            errnos: {
                errno: number;
                /** @description Empty where it has none. */
                name: string;
                count: number;
            }[];
            sum_ns: number;
            max_ns: number;
            p50_ns: number | null;
            p90_ns: number | null;
            p99_ns: number | null;
            /** @description Threads in the call when their processes were last heard of in the range. */
            in_flight: number;
            /** @description For how long the first of them had been in it. */
            oldest_ns: number;
            /** @description The buckets that are not empty, ascending; half-open. */
            histogram: {
                from_ns: number[];
                to_ns: number[];
                count: number[];
            };
        };
        /** @description All rows together, a value a step; null: nothing is known, or no call returned. */
        SyscallSeries: {
            step_ms: number;
            times: number[];
            count: (number | null)[];
            errors: (number | null)[];
            sum_ns: (number | null)[];
            max_ns: (number | null)[];
            p50_ns: (number | null)[];
            p90_ns: (number | null)[];
            p99_ns: (number | null)[];
        };
        Syscalls: {
            from: number;
            to: number;
            /** @description Seconds of the range in which hosts reported. */
            covered_s: number;
            by: string;
            /** @description Of all rows, those cut off too; as the next two. */
            count: number;
            errors: number;
            sum_ns: number;
            syscalls: components["schemas"]["SyscallRow"][];
            series: components["schemas"]["SyscallSeries"] | null;
            coverage: components["schemas"]["Coverage"];
        };
        DiffSide: {
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            from: number;
            /**
             * Format: int64
             * @description Unix milliseconds.
             */
            to: number;
            type: string;
            filter: string;
            /** Format: int64 */
            total: number;
            coverage: components["schemas"]["Coverage"];
        };
        Diff: {
            /**
             * @description The unit of all values in this answer.
             * @enum {string}
             */
            unit: "nanoseconds" | "samples" | "count";
            /**
             * @description Echoed: how the client shows the answer.
             * @enum {string}
             */
            mode: "normalised" | "absolute";
            a: components["schemas"]["DiffSide"];
            b: components["schemas"]["DiffSide"];
            /** @description The 200 whose share of self changed most. */
            functions: {
                function: string;
                module: string;
                /** Format: int64 */
                self_a: number;
                /** Format: int64 */
                self_b: number;
                /** Format: int64 */
                total_a: number;
                /** Format: int64 */
                total_b: number;
            }[];
            /**
             * Format: int64
             * @description Of side b.
             */
            total: number;
            /** Format: int64 */
            total_a: number;
            /**
             * Format: int64
             * @description Nodes that max_nodes folded into "(other)" nodes.
             */
            folded_nodes: number;
            /**
             * Format: int64
             * @description What those hold, side b.
             */
            folded_total: number;
            /**
             * Format: int64
             * @description What those hold, side a.
             */
            folded_total_a: number;
            nodes: components["schemas"]["DiffNodes"];
            /** @description [0] is "". */
            strings: string[];
        };
        Batches: {
            /** @description Newest first. A large batch, or one over midnight, is several entries. */
            batches: {
                agent_id: string;
                host: string;
                /** Format: int64 */
                epoch: number;
                /** Format: int64 */
                sequence: number;
                /**
                 * Format: int64
                 * @description Unix milliseconds.
                 */
                from: number;
                /**
                 * Format: int64
                 * @description Unix milliseconds.
                 */
                to: number;
                /**
                 * Format: int64
                 * @description Rows.
                 */
                samples: number;
                /**
                 * Format: int64
                 * @description Of memory.
                 */
                bytes: number;
                /** @description In the store as well. */
                stored: boolean;
            }[];
            /**
             * Format: int64
             * @description In the buffer; `limit` cuts the list only.
             */
            total: number;
        };
        /** @description What to aggregate; every key may be left out. */
        Selection: {
            /**
             * @description Unix milliseconds, `now`, `now-1h`, or RFC 3339 UTC.
             * @default now-1h
             */
            from: number | string;
            /**
             * @description Unix milliseconds, `now`, `now-1h`, or RFC 3339 UTC.
             * @default now
             */
            to: number | string;
            /** @default cpu:nanoseconds */
            type: string;
            /** @default  */
            filter: string;
        };
        AggregateRequest: {
            /**
             * @description Unix milliseconds, `now`, `now-1h`, or RFC 3339 UTC.
             * @default now-1h
             */
            from: number | string;
            /**
             * @description Unix milliseconds, `now`, `now-1h`, or RFC 3339 UTC.
             * @default now
             */
            to: number | string;
            /** @default cpu:nanoseconds */
            type: string;
            /** @default  */
            filter: string;
            /**
             * @description The most nodes in the answer; the smallest fold into "(other)".
             * @default 16384
             */
            max_nodes: number;
        };
        DiffRequest: {
            a: components["schemas"]["Selection"];
            b: components["schemas"]["Selection"];
            /**
             * @description The most nodes in the answer; the smallest fold into "(other)".
             * @default 16384
             */
            max_nodes: number;
            /**
             * @default normalised
             * @enum {string}
             */
            mode: "normalised" | "absolute";
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
