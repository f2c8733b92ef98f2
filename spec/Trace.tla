------------------------------- MODULE Trace -------------------------------
(***************************************************************************)
(* Whether what the code did is a behaviour of Lease.tla.                  *)
(*                                                                         *)
(* crates/core/tests/replay.rs drives a Granter and Holders with inputs    *)
(* that it draws itself, and writes down each with what the two sides show *)
(* afterwards (Recorded.tla).  TLC looks for a behaviour of Lease.tla that *)
(* takes these inputs and shows the same.  Between two inputs it may take  *)
(* whatever Lease.tla allows that is nobody's input.                       *)
(***************************************************************************)
EXTENDS Recorded

VARIABLES
    trace,  \* which one
    at,     \* the step of it that was taken last
    sent    \* what the code has sent

traced == <<trace, at, sent>>

Step == Recorded[trace][at]

(***************************************************************************)
(* What a state shows: the same as in crates/core/tests/replay/seen.rs.    *)
(***************************************************************************)
ShowsWait ==
    CASE granter.phase \in {"Starting", "Waiting"} -> granter.wait
      [] granter.phase = "Settling" -> 0
      [] OTHER -> None

ShowsLease(lease) ==
    IF lease = None THEN None
    ELSE [fence |-> lease.fence, mode |-> lease.mode, term |-> lease.term, left |-> lease.left,
          standing |-> IF lease.offered THEN "offered" ELSE IF lease.recalled THEN "recalled" ELSE "held"]

ShowsView(x) ==
    CASE x.st = "Idle" -> "idle"
      [] x.st = "Held" /\ x.left = 0 -> "over"
      [] x.st = "Held" /\ x.left = Suspect -> "suspect"
      [] x.st = "Held" -> "valid"
      [] OTHER -> "pending"

ShowsHolder(x) ==
    LET view == ShowsView(x)
        valid == view = "valid"
    IN [view |-> view, sent |-> x.next - 1, left |-> IF valid THEN x.left ELSE 0,
        fence |-> IF valid THEN x.fence ELSE 0, mode |-> IF valid THEN x.mode ELSE "none"]

\* What matters of a message of its kind.
ShowsMessage(m) ==
    LET asks == m.to = "granter" IN
    [to |-> m.to, h |-> m.h, id |-> m.id, op |-> m.op,
     fence |-> IF m.op \in {"Release", "Reclaim", "Granted", "Offered"} \/ (asks /\ m.op = "Renew")
               THEN m.fence ELSE 0,
     mode |-> IF m.op \in {"Acquire", "Reclaim"} THEN m.mode ELSE "none",
     term |-> IF m.op \in {"Acquire", "Renew", "Reclaim", "Granted", "Offered", "Renewed"}
              THEN m.term ELSE 0,
     home |-> IF m.op = "Reclaim" THEN m.home ELSE 0]

\* What the code sent may be forgotten here, if its receiver would ignore it.  Whatever is in flight
\* here the code sent.
ShowsMessages ==
    LET inFlight == { ShowsMessage(m) : m \in net }
        Useless(m) == IF m.to = "granter"
                      THEN m.id <= granter.lastId[m.h] \/ holder[m.h].epoch.inc # granter.inc
                      ELSE \A p \in holder[m.h].pending : p.id # m.id
    IN inFlight \subseteq sent /\ \A m \in sent : m \in inFlight \/ Useless(m)

\* A granter that has stopped, or is not there yet, is not asked for its leases.
Shows(seen) ==
    /\ granter.inc = seen.inc /\ ShowsWait = seen.wait /\ Len(granter.queue) = seen.waiters
    /\ disk.stored = seen.stored /\ disk.writing = seen.writing
    /\ disk.wanted.promise = seen.promise
    /\ seen.asked => \A h \in Holders : ShowsLease(granter.lease[h]) = seen.leases[h]
    /\ \A h \in Holders : ShowsHolder(holder[h]) = seen.holders[h]
    /\ ShowsMessages

(***************************************************************************)
(* Inputs.  Some change nothing here: a message that would be ignored, a   *)
(* renewal while the lease is reclaimed, a break with nothing to break.    *)
(***************************************************************************)
Takes(step) ==
    CASE step.op = "Wish" -> Wish(step.h, step.mode, step.term)
      [] step.op = "AskToRenew" ->
             \/ \E longer \in Lengths(step.h) : AskToRenew(step.h, longer)
             \/ ReclaimAgain(step.h)
             \/ holder[step.h].home # holder[step.h].epoch.inc /\ UNCHANGED vars
      [] step.op = "GiveUp" -> GiveUp(step.h)
      [] step.op = "Expire" -> Expire(step.h)
      [] step.op = "Break" ->
             \/ Break(step.h)
             \/ /\ holder[step.h].left <= 0
                /\ \A p \in holder[step.h].pending : p.age = Void
                /\ UNCHANGED vars
      [] step.op = "Reopen" -> \E again \in BOOLEAN : Reopen(step.h, again)
      [] step.op = "Tick" -> TickBy(step.slow, step.fast)
      [] step.op = "Stored" -> Stored
      [] step.op = "StoreFails" -> \E r \in PossibleRecords(disk) : StoreFails(r)
      [] step.op = "Recall" -> \E h \in Holders : Recall(h)
      [] step.op = "Exit" -> Exit
      [] step.op = "Crash" -> Crash(step.record)
      [] step.op = "GranterReceives" ->
             \/ \E m \in net : ShowsMessage(m) = step.m /\ GranterReceives(m)
             \/ (\A m \in net : ShowsMessage(m) # step.m) /\ UNCHANGED vars
      [] step.op = "HolderReceives" ->
             \/ \E m \in net : ShowsMessage(m) = step.m /\ HolderReceives(m)
             \/ (\A m \in net : ShowsMessage(m) # step.m) /\ UNCHANGED vars

\* With the answer to a reclaim, the code asks for the longer term that its user wants by then.
Follows ==
    \/ \E h \in Holders : Unpark(h) \/ Expire(h)
    \/ Serve \/ EndWait \/ StoreWrites \/ Lower
    \/ Step.op = "Recall" /\ \E h \in Holders : Recall(h)
    \/ /\ Step.op = "HolderReceives" /\ Step.m.op = "Reclaimed"
       /\ \E longer \in Lengths(Step.m.h) \ {0} : AskToRenew(Step.m.h, longer)

\* What a session asked before it was opened again, the granter drops.
Dropped(step) ==
    IF step.op # "Reopen" THEN {} ELSE { m \in sent : m.to = "granter" /\ m.h = step.h }

\* Says how far it came with each trace.
Reached == TLCGet(trace) >= at \/ (TLCSet(trace, at) /\ PrintT(<<"reached", trace, at>>))

TraceNext ==
    \/ /\ Shows(Step.seen) /\ Reached
       /\ at < Len(Recorded[trace])
       /\ LET step == Recorded[trace][at + 1] IN
             Takes(step) /\ sent' = (sent \ Dropped(step)) \cup step.sent
       /\ at' = at + 1 /\ UNCHANGED trace
    \/ /\ Follows /\ UNCHANGED traced
       \* No more than what was sent: with ever more requests this would have no end.
       /\ \A h \in Holders : holder'[h].next - 1 <= Step.seen.holders[h].sent

TraceInit ==
    /\ Init
    /\ trace \in DOMAIN Recorded /\ at = 1 /\ sent = {}
    /\ TLCSet(trace, 0)

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, traced>>
=============================================================================
