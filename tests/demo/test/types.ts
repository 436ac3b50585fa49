/** Checked, not run: what mobz.d.ts promises is what the modules behind mobz.js are. */
import type * as promised from '../src/mobz.js';
import { Broadcast } from '../src/client/broadcast.js';
import { Call } from '../src/client/call.js';
import { MobzError } from '../src/client/error.js';
import { Group } from '../src/client/group.js';
import { Live } from '../src/client/live.js';
import { connect } from '../src/client/room.js';

connect satisfies typeof promised.connect;
Broadcast satisfies typeof promised.Broadcast;
Call satisfies typeof promised.Call;
Group satisfies typeof promised.Group;
Live satisfies typeof promised.Live;
MobzError satisfies typeof promised.MobzError;
