------------------------------- MODULE Lease -------------------------------
(***************************************************************************)
(* The lease protocol of T-Lease: one granter, one name, several holders.  *)
(*                                                                         *)
(* It states, on a few pages, what crates/core/src/granter                 *)
(* and crates/core/src/holder decide, and lets everything else be hostile: *)
(* both hands of every clock within their contract, the network, pauses,   *)
(* crashes.  TLC, the model checker, then tries every order of events.     *)
(*                                                                         *)
(* How to read it: `x' = e` says what x is after a step; `/\` is "and",    *)
(* `\/` is "or"; `[r EXCEPT !.a = e]` is the record r with a changed, and  *)
(* `@` in it is the old value.  Read INVARIANTS at the end first, then     *)
(* "What the granter decides".                                             *)
(*                                                                         *)
(* TIME.  True time passes in ticks (the action Tick).  Instants are not   *)
(* numbers here; only what has passed since them matters, and that only up *)
(* to the longest term.  So a promise is kept as what is left of it on the *)
(* hand of whoever keeps it, and a request as its age.  Both saturate:     *)
(* there is no last moment of the model.  In each tick the slow hand moves *)
(* by 0 or 1 (A1, I1) and each fast hand by 1 to FastMax (A2, I2), chosen  *)
(* by the adversary.  A process that takes no step while ticks pass is     *)
(* paused; no action but Tick has to happen.                               *)
(*                                                                         *)
(* MESSAGES are a set.  A message stays in it when it is received, so that *)
(* it may be received again, later, or never: duplication, reordering,     *)
(* delay without bound, loss.  Only what its receiver would certainly      *)
(* ignore is taken out (Useful).                                           *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
    Holders,     \* who wants the name
    Modes,       \* {"exclusive"} or {"exclusive", "shared"}
    Terms,       \* terms that holders may ask for, in ticks
    OfferLife,   \* how long an offer stands, in ticks of the slow hand
    FastMax,     \* the most that a fast hand moves in one tick
    FenceBlock,  \* fences made usable by one write of the record
    Asks,        \* how many requests each holder may send: bounds the model
    Wishes,      \* how many times each holder may want the name: bounds the model
    Ordered,     \* whether requests of one holder are received in the order of their ids
    Grants,      \* how many grants there may be: bounds the model
    Crashes, Exits, Failures, Reopenings, Breaks,  \* how often the adversary may do that
    Mutation,    \* a planted error, or "none"
    None         \* a value that is nothing else

VARIABLES
    granter,     \* the granter's memory: lost in a crash
    disk,        \* the granter's record, and what it knows of it
    holder,      \* one record for each holder
    net,         \* messages in flight
    budget,      \* what the adversary may still do, and how many grants there may still be
    highest      \* the highest fence ever granted: only for the invariants

vars == <<granter, disk, holder, net, budget, highest>>

Planted(what) == Mutation = what

Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a > b THEN a ELSE b
Longest(terms) == IF terms = {} THEN 0 ELSE CHOOSE t \in terms : \A u \in terms : u <= t
MaxTerm == Longest(Terms)

(***************************************************************************)
(* What is left of a promise: a number of ticks, 0 once it is over, or     *)
(* Suspect after a break in the continuity of the holder's clock.  The age *)
(* of a request is Void after such a break: it anchors nothing.            *)
(***************************************************************************)
Suspect == -1
Void == MaxTerm + 1

After(left, ticks) == IF left = Suspect THEN Suspect ELSE Max(left - ticks, 0)
Aged(age, ticks) == IF age = Void THEN Void ELSE Min(age + ticks, MaxTerm)

\* The later of two promises.  One that is over stays over: no late reply revives it (I12).  Of one
\* that is suspect nothing is known but what the newer one says.
Extended(left, more) ==
    CASE left = 0 /\ ~Planted("a late renewal revives") -> 0
      [] left = Suspect -> more
      [] OTHER -> Max(left, more)

(***************************************************************************)
(* The granter's record on disk.  While a record is being written, and     *)
(* after a write that failed, the disk may hold the old one or the new:    *)
(* `covered` is what both allow, and only that is relied on (I6).          *)
(*   stored   what the disk holds                                          *)
(*   writing  the record under way, or None                                *)
(*   covered  what may be relied on; None before this life is durable      *)
(*   wanted   what is to be written next                                   *)
(*   failed   the last write failed: what is wanted is written again, even *)
(*            where no more may be relied on after it                      *)
(***************************************************************************)
Both(a, b) ==
    [ b EXCEPT !.mark      = Min(a.mark, b.mark),
               !.promise   = Min(a.promise, b.promise),
               !.settled   = IF a.settled = b.settled THEN @ ELSE 0,
               !.leftovers = a.leftovers /\ b.leftovers ]

Written(d) ==
    IF d.writing # None \/ (d.covered = d.wanted /\ ~d.failed) THEN d
    ELSE [ d EXCEPT !.writing = d.wanted, !.failed = FALSE,
                    !.covered = IF @ = None THEN None ELSE Both(@, d.wanted) ]

PossibleRecords(d) == {d.stored} \cup (IF d.writing = None THEN {} ELSE {d.writing})

\* The next block of fences is asked for before the last one is used up.
WithFences(record, next) ==
    IF record.mark <= next THEN [record EXCEPT !.mark = next + FenceBlock] ELSE record

WantGrant(d, next, term) ==
    Written([ d EXCEPT !.wanted = WithFences([ @ EXCEPT !.promise = Max(@, term),
                                                        !.leftovers = TRUE ], next) ])

\* Notes a promise that is being made, before anything is written: a shorter bound may be wanted that
\* was reckoned without it, while another record is under way.
Keep(d, term) ==
    IF Planted("bound lowered past a grant") THEN d ELSE [d EXCEPT !.wanted.promise = Max(@, term)]

CoversTerm(d, term) ==
    \/ Planted("promise not durable")
    \/ d.covered # None /\ d.covered.leftovers /\ term <= d.covered.promise

CoversGrant(g, d, term) ==
    /\ d.covered # None
    /\ d.covered.settled = g.inc
    /\ g.next <= d.covered.mark \/ Planted("fence not durable")
    /\ CoversTerm(d, term)

(***************************************************************************)
(* Messages.  A request names the epoch of its session (the granter's life *)
(* and the opening in it) and its own id; a reply names the id.            *)
(***************************************************************************)
Request(h, x, op, fence, mode, term) ==
    [to |-> "granter", h |-> h, epoch |-> x.epoch, id |-> x.next, op |-> op,
     fence |-> fence, mode |-> mode, term |-> term, home |-> x.home]

Reply(h, id, op, fence, term) ==
    [to |-> "holder", h |-> h, id |-> id, op |-> op, fence |-> fence, term |-> term]

\* Whether the granter may do anything about a request: I12's session, epoch and id.
Admits(g, x, m) ==
    /\ m.epoch.inc = g.inc
    /\ m.epoch = x.epoch \/ Planted("stale epoch admitted")
    /\ m.id > g.lastId[m.h] \/ Planted("used id admitted")

Useful(messages, g, hs) ==
    { m \in messages : IF m.to = "granter"
                       THEN Admits(g, hs[m.h], m) \/ Planted("stale epoch admitted")
                       ELSE \E p \in hs[m.h].pending : p.id = m.id }

\* Whether anything can still come for a pending request.
Answerable(p, h, messages, g) ==
    \/ \E m \in messages : m.h = h /\ m.id = p.id
    \/ g.parked[h] # None /\ g.parked[h].id = p.id
    \/ \E i \in DOMAIN g.queue : g.queue[i].h = h /\ g.queue[i].id = p.id

\* Every step ends here: the new state without what can have no effect any more.
Become(g, d, hs, messages) ==
    LET useful == Useful(messages, g, hs) IN
    /\ granter' = g
    /\ disk' = d
    /\ net' = useful
    /\ holder' = [ h \in Holders |->
           [ hs[h] EXCEPT !.pending = { p \in @ : Answerable(p, h, useful, g) } ] ]

(***************************************************************************)
(* WHAT THE GRANTER DECIDES.  Each operator takes the granter g and its    *)
(* disk d, and gives [g, d, out]: both afterwards, and the messages.  What *)
(* is said never needs a write that has not been acknowledged, so a crash  *)
(* between a decision and its sending is a lost message.                   *)
(***************************************************************************)
Result(g, d, out) == [g |-> g, d |-> d, out |-> out]

Compatible(g, mode) ==
    \A h \in Holders :
        IF g.lease[h] = None THEN TRUE ELSE mode = "shared" /\ g.lease[h].mode = "shared"

InQueue(g, h) == \E i \in DOMAIN g.queue : g.queue[i].h = h
WithoutWaiter(g, h) == [g EXCEPT !.queue = SelectSeq(@, LAMBDA w : w.h # h)]
WithoutWish(g, h) == [WithoutWaiter(g, h) EXCEPT !.parked[h] = None]
Freed(g, h) == [g EXCEPT !.lease[h] = None]

\* Gives the name, at once or as an offer.  The only place where a fence is made (I7).
Give(g, d, h, id, mode, term, offered) ==
    LET lease == [fence |-> g.next, mode |-> mode, term |-> term, offered |-> offered,
                  recalled |-> FALSE, left |-> IF offered THEN Min(term, OfferLife) ELSE term]
        given == [g EXCEPT !.lease[h] = lease, !.next = @ + 1]
        op == IF offered THEN "Offered" ELSE "Granted"
    IN Result(given,
              Written([Keep(d, term) EXCEPT !.wanted = WithFences(@, given.next)]),
              {Reply(h, id, op, lease.fence, term)})

Park(g, d, h, id, mode, term) ==
    Result([g EXCEPT !.parked[h] = [id |-> id, mode |-> mode, term |-> term]],
           WantGrant(d, g.next, term), {})

AcquireAfresh(g, d, h, id, mode, term) ==
    LET waiter == [h |-> h, id |-> id, mode |-> mode, term |-> term]
        keeps == \E i \in DOMAIN g.queue : g.queue[i].h = h /\ g.queue[i].mode = mode
        renewed == [i \in DOMAIN g.queue |-> IF g.queue[i].h = h THEN waiter ELSE g.queue[i]]
        rest == WithoutWaiter(g, h)
    IN  IF keeps THEN Result([g EXCEPT !.queue = renewed], d, {})
        ELSE IF ~(g.phase = "Serving" /\ Compatible(rest, mode) /\ rest.queue = <<>>)
        THEN Result([rest EXCEPT !.queue = Append(@, waiter)], d, {})
        ELSE IF CoversGrant(rest, d, term) THEN Give(rest, d, h, id, mode, term, FALSE)
        ELSE Park(rest, d, h, id, mode, term)

\* A session that holds the name asks for it again: it has given its lease up, or never heard of it.
\* It gets a new fence, never the old one again.
AcquireAgain(g, d, h, id, mode, term) ==
    LET own == g.lease[h]
        keepsPlace == ~own.recalled /\ g.phase = "Serving"
    IN  IF own.mode = "shared" /\ mode = "exclusive"
        THEN Result(g, d, {Reply(h, id, "Refused", 0, 0)})
        ELSE IF Planted("acquiring again gives the old fence") /\ own.mode = mode
        THEN Result([g EXCEPT !.lease[h].left = Max(@, own.term), !.lease[h].offered = FALSE], d,
                    {Reply(h, id, "Granted", own.fence, own.term)})
        ELSE IF keepsPlace /\ ~CoversGrant(g, d, term) THEN Park(g, d, h, id, mode, term)
        ELSE IF keepsPlace /\ Compatible(Freed(g, h), mode)
        THEN Give(Freed(g, h), d, h, id, mode, term, FALSE)
        ELSE AcquireAfresh(Freed(g, h), d, h, id, mode, term)

Acquire(g0, d, h, id, mode, term) ==
    LET g == [g0 EXCEPT !.parked[h] = None]
    IN  IF g.lease[h] = None THEN AcquireAfresh(g, d, h, id, mode, term)
        ELSE AcquireAgain(g, d, h, id, mode, term)

\* Whether the session has a live lease with this fence (I12).
Has(g, h, fence) == g.lease[h] # None /\ g.lease[h].fence = fence

\* A renewal never ends a lease earlier than it was promised, and lengthens it only as far as is
\* durable.  A recalled lease is not extended (a grace of zero: any other is between that and this).
Renew(g, d, h, id, fence, wanted) ==
    IF ~Has(g, h, fence) THEN
        IF Planted("a renewal revives a freed lease") /\ Compatible(g, "exclusive")
        THEN Result([g EXCEPT !.lease[h] = [fence |-> fence, mode |-> "exclusive", term |-> MaxTerm,
                                            offered |-> FALSE, recalled |-> FALSE, left |-> MaxTerm]],
                    d, {Reply(h, id, "Renewed", fence, MaxTerm)})
        ELSE Result(g, d, {Reply(h, id, "NotHeldHere", fence, 0)})
    ELSE IF g.lease[h].recalled THEN Result(g, d, {Reply(h, id, "Renewed", fence, 0)})
    ELSE
        LET old == g.lease[h].term
            lengthens == wanted > old /\ (CoversTerm(d, wanted) \/ Planted("longer term not durable"))
            term == IF lengthens \/ (Planted("a renewal shortens") /\ wanted > 0) THEN wanted ELSE old
            lease == [g.lease[h] EXCEPT !.left = term, !.term = term, !.offered = FALSE]
            asked == IF wanted > term THEN WantGrant(d, g.next, wanted) ELSE Keep(d, term)
        IN  Result([g EXCEPT !.lease[h] = lease], asked, {Reply(h, id, "Renewed", fence, term)})

\* The lease that is named, and no other (I12).  Of what the session wants, nothing changes, unless it
\* gives back what it has.
Release(g, d, h, fence) ==
    IF Planted("a release drops later wishes") /\ ~Has(g, h, fence)
    THEN Result(WithoutWish(g, h), d, {})
    ELSE IF Has(g, h, fence) \/ (Planted("release by name") /\ g.lease[h] # None)
    THEN Result(Freed(WithoutWish(g, h), h), d, {})
    ELSE Result(g, d, {})

\* The session wants nothing of the name any more, nor what it was given and has not heard of.
Withdraw(g, d, h) == Result(Freed(WithoutWish(g, h), h), d, {})

\* After a restart, a holder that is still valid goes on with a lease of an earlier life (I11).
Reclaim(g, d, h, m) ==
    LET fits == /\ m.home < g.inc
                /\ d.covered # None /\ m.home >= d.covered.settled
                /\ m.fence <= g.past
                /\ m.term <= d.covered.promise
        clashing == { k \in Holders \ {h} : /\ g.lease[k] # None
                                            /\ m.mode = "exclusive" \/ g.lease[k].mode = "exclusive" }
        own == g.lease[h]
        superseded == \/ \E k \in clashing : g.lease[k].fence > m.fence
                      \/ own # None /\ (own.fence # m.fence \/ own.mode # m.mode \/ own.recalled)
        \* Reclaimed before, and the answer was lost: this is a renewal.
        lease == IF own # None THEN [own EXCEPT !.left = own.term]
                 ELSE [fence |-> m.fence, mode |-> m.mode, term |-> m.term, offered |-> FALSE,
                       recalled |-> FALSE, left |-> m.term]
    IN  IF g.phase = "Waiting" /\ fits /\ ~superseded
        THEN Result([g EXCEPT !.lease = [k \in Holders |-> IF k = h THEN lease
                                                           ELSE IF k \in clashing THEN None
                                                           ELSE g.lease[k]]],
                    Keep(d, m.term), {Reply(h, m.id, "Reclaimed", m.fence, m.term)})
        ELSE Result(g, d, {})

Handled(g, d, m) ==
    CASE m.op = "Acquire"  -> Acquire(g, d, m.h, m.id, m.mode, m.term)
      [] m.op = "Renew"    -> Renew(g, d, m.h, m.id, m.fence, m.term)
      [] m.op = "Release"  -> Release(g, d, m.h, m.fence)
      [] m.op = "Withdraw" -> Withdraw(g, d, m.h)
      [] m.op = "Reclaim"  -> Reclaim(g, d, m.h, m)

(***************************************************************************)
(* The steps of the granter.                                               *)
(***************************************************************************)
Listens(g) == g.phase \in {"Waiting", "Settling", "Serving"}

\* Does what a Result says, if the bound on grants allows it.
Do(result) ==
    LET used == result.g.next - granter.next IN
    /\ used <= budget.grants
    /\ Become(result.g, result.d, holder, net \cup result.out)
    /\ budget' = [budget EXCEPT !.grants = @ - used]
    /\ highest' = IF used > 0 THEN Max(highest, granter.next) ELSE highest

GranterReceives(m) ==
    /\ m.to = "granter" /\ Listens(granter) /\ Admits(granter, holder[m.h], m)
    /\ Ordered => \A n \in net : n.to = "granter" /\ n.h = m.h => n.id >= m.id
    /\ Do(Handled([granter EXCEPT !.lastId[m.h] = Max(@, m.id)], disk, m))

\* There is no room for a lease that somebody reclaims: nothing becomes of it.  Nobody else gets the
\* name meanwhile, so its holder goes on to the lease's end, and may try again.
FindsNoRoom(m) ==
    /\ m.to = "granter" /\ m.op = "Reclaim" /\ granter.phase = "Waiting"
    /\ granter.lease[m.h] = None /\ Admits(granter, holder[m.h], m)
    /\ Do(Result([granter EXCEPT !.lastId[m.h] = Max(@, m.id)], disk, {}))

\* An acquire that waited for the store, now that it may be covered, or must wait for others.
CanUnpark(h) ==
    /\ granter.phase = "Serving" /\ granter.parked[h] # None
    /\ LET p == granter.parked[h] IN
       \/ CoversGrant(granter, disk, p.term)
       \/ ~Compatible(granter, p.mode) \/ granter.queue # <<>>

Unpark(h) ==
    /\ CanUnpark(h)
    /\ LET p == granter.parked[h] IN Do(Acquire(granter, disk, h, p.id, p.mode, p.term))

\* Offers the name to the first in its queue, or asks the store for what that needs.
CanServe ==
    /\ granter.phase = "Serving" /\ granter.queue # <<>>
    /\ Compatible(granter, Head(granter.queue).mode)

Serve ==
    /\ CanServe
    /\ LET w == Head(granter.queue) IN
          IF CoversGrant(granter, disk, w.term)
          THEN Do(Give([granter EXCEPT !.queue = Tail(@)], disk, w.h, w.id, w.mode, w.term, TRUE))
          ELSE Do(Result(granter, WantGrant(disk, granter.next, w.term), {}))

\* Somebody wants a lease back: a waiter, or an operator.
CanRecall(h) ==
    /\ Listens(granter) /\ granter.lease[h] # None
    /\ ~granter.lease[h].offered /\ ~granter.lease[h].recalled
    /\ \E k \in Holders \ {h} : InQueue(granter, k)

Recall(h) ==
    CanRecall(h) /\ Do(Result([granter EXCEPT !.lease[h].recalled = TRUE], disk, {}))

LiveTerms(g) == { g.lease[h].term : h \in { k \in Holders : g.lease[k] # None } }

\* The restart wait has passed: no lease of an earlier life can be valid that was not reclaimed.
CanEndWait == granter.phase = "Waiting" /\ granter.wait = 0

EndWait ==
    /\ CanEndWait
    /\ Do(Result([granter EXCEPT !.phase = "Settling"],
                 Written([disk EXCEPT !.wanted.settled = granter.inc,
                                      !.wanted.promise = Longest(LiveTerms(granter))]), {}))

\* Makes the longest promise durable that is still open, so that a restart waits no longer than it must.
Lower ==
    /\ granter.phase = "Serving"
    /\ \A h \in Holders : granter.parked[h] = None
    /\ IF granter.queue = <<>> THEN TRUE ELSE ~Compatible(granter, Head(granter.queue).mode)
    /\ Longest(LiveTerms(granter)) < disk.wanted.promise
    /\ Do(Result(granter, Written([disk EXCEPT !.wanted.promise = Longest(LiveTerms(granter))]), {}))

\* The record under way is durable.  What is wanted beyond it is written by StoreWrites.
Stored ==
    /\ disk.writing # None
    /\ LET r == disk.writing
           phase == CASE granter.phase = "Starting" ->
                             IF granter.wait = None THEN "Serving" ELSE "Waiting"
                      [] granter.phase = "Settling" ->
                             IF r.settled = granter.inc THEN "Serving" ELSE "Settling"
                      [] OTHER -> granter.phase
       IN Do(Result([granter EXCEPT !.phase = phase],
                    [disk EXCEPT !.stored = r, !.writing = None, !.covered = r], {}))

\* The write failed: the disk holds r, either record, and what waited for it is refused.
StoreFails(r) ==
    /\ disk.writing # None /\ budget.failures > 0
    /\ Become([granter EXCEPT !.parked = [h \in Holders |-> None]],
              [disk EXCEPT !.stored = r, !.writing = None, !.failed = TRUE], holder,
              net \cup { Reply(h, granter.parked[h].id, "Refused", 0, 0) :
                            h \in { k \in Holders : granter.parked[k] # None } })
    /\ budget' = [budget EXCEPT !.failures = @ - 1]
    /\ UNCHANGED highest

\* What is wanted beyond the last record is written: after that one was, or was not.
StoreWrites == disk # Written(disk) /\ Do(Result(granter, Written(disk), {}))

\* An orderly exit when nothing is held: makes durable that the next life need not wait.
Exit ==
    /\ granter.phase = "Serving" /\ budget.exits > 0
    /\ granter.queue = <<>>
    /\ \A h \in Holders : granter.parked[h] = None
    /\ IF Planted("exit with leases") THEN TRUE ELSE LiveTerms(granter) = {}
    /\ Become([granter EXCEPT !.phase = "Stopping"],
              Written([disk EXCEPT !.wanted.leftovers = FALSE, !.wanted.promise = 0]), holder, net)
    /\ budget' = [budget EXCEPT !.exits = @ - 1]
    /\ UNCHANGED highest

(***************************************************************************)
(* A crash, at any moment, and the start of the next life.  Nothing is     *)
(* left but what the disk holds, which may be either record if one was     *)
(* under way.  The two are one step: a granter that is down is one whose   *)
(* slow hand stands still.                                                 *)
(***************************************************************************)
NewLife(g, r) ==
    LET nothingOpen == ~r.leftovers \/ r.promise = 0 \/ Planted("restart wait skipped")
        record == IF nothingOpen
                  THEN [r EXCEPT !.inc = @ + 1, !.promise = 0, !.settled = r.inc + 1,
                                 !.leftovers = FALSE]
                  ELSE [r EXCEPT !.inc = @ + 1,
                                 !.promise = IF Planted("bound lowered at the start") THEN 0 ELSE @]
    IN [g |-> [phase |-> "Starting", inc |-> r.inc + 1, past |-> r.mark, next |-> r.mark + 1,
               wait |-> IF nothingOpen THEN None ELSE r.promise,
               lease |-> [h \in Holders |-> None], parked |-> [h \in Holders |-> None],
               lastId |-> [h \in Holders |-> 0], queue |-> <<>>],
        d |-> [stored |-> r, writing |-> record, covered |-> None, wanted |-> record, failed |-> FALSE]]

Crash(r) ==
    /\ budget.crashes > 0
    /\ LET life == NewLife(granter, r) IN Become(life.g, life.d, holder, net)
    /\ budget' = [budget EXCEPT !.crashes = @ - 1]
    /\ UNCHANGED highest

(***************************************************************************)
(* WHAT A HOLDER DECIDES.  State of the one wish that it has at a time:    *)
(*   Idle, Wanted, Confirming (it was offered the name), Held.             *)
(* A pending request keeps its age on the fast hand: what a lease counts   *)
(* from is the sending of the very request that made it (I3).              *)
(***************************************************************************)

\* Sends a request: gives [x, out].
Ask(h, x, about, fence, mode, term) ==
    LET pending == [id |-> x.next, about |-> about, age |-> 0, old |-> FALSE]
        awaited == about \in {"Acquire", "Renew", "Reclaim"}
    IN [x |-> [x EXCEPT !.next = @ + 1, !.pending = IF awaited THEN @ \cup {pending} ELSE @],
        out |-> {Request(h, x, about, fence, mode, term)}]

CanAsk(x, times) == x.next + times - 1 <= Asks

AskAcquire(h, x) == Ask(h, x, "Acquire", 0, x.mode, x.term)
\* A lease of another life of the granter is signed anew, for the term that it has.
AskRenew(h, x, longer) ==
    LET unsigned == x.st = "Held" /\ x.home # x.epoch.inc
    IN  Ask(h, x, "Renew", x.fence, x.mode, IF unsigned /\ longer = 0 THEN x.term ELSE longer)

\* Ends the wish or the lease.  `gone` is the highest fence that is over for good here.
Ended(x) ==
    [x EXCEPT !.st = "Idle", !.left = 0,
              !.gone = IF x.st = "Wanted" THEN @ ELSE Max(@, x.fence),
              !.pending = { [p EXCEPT !.old = TRUE] : p \in { q \in @ : q.about = "Acquire" } }]

\* Closes the guard, then says so: the order is in the code and in I9.
Leave(h, x) ==
    LET op == IF x.st = "Wanted" THEN "Withdraw" ELSE "Release"
        fence == IF x.st = "Wanted" THEN 0 ELSE x.fence
        over == [Ended(x) EXCEPT !.leaving = [fence |-> fence, home |-> x.home]]
        still == IF Planted("released before the guard closes") /\ x.st = "Held" THEN x ELSE over
    IN  IF CanAsk(x, 1) THEN Ask(h, still, op, fence, x.mode, 0) ELSE [x |-> over, out |-> {}]

\* What is left of a promise of `term` from the sending of request p.
Promised(p, term) ==
    CASE Planted("anchor at the reply") -> term
      [] p.age = Void -> Suspect
      [] OTHER -> Max(term - p.age, 0)

Hold(x, left, term) == [x EXCEPT !.st = "Held", !.left = left, !.term = Max(term, left),
                                 !.home = x.epoch.inc]

\* An offer, or a grant that arrived dead, is confirmed: valid from the sending of that.
Confirm(h, x, fence, term) ==
    AskRenew(h, [x EXCEPT !.st = "Confirming", !.fence = fence, !.term = term,
                          !.home = x.epoch.inc], 0)

GiveBack(h, x, fence) ==
    IF CanAsk(x, 1) THEN Ask(h, x, "Release", fence, x.mode, 0) ELSE [x |-> x, out |-> {}]

\* What a reply m to the pending request p does.
Heard(h, x, p, m) ==
    LET left == Promised(p, m.term)
        same == [x |-> x, out |-> {}]
    IN
    CASE m.op \in {"Granted", "Offered"} /\ p.old /\ ~Planted("a released wish takes a late grant") ->
             GiveBack(h, x, m.fence)
      [] m.op \in {"Granted", "Offered"} /\ (x.st = "Wanted" \/ p.old) ->
             IF m.op = "Granted" /\ left > 0
             THEN [x |-> Hold([x EXCEPT !.fence = m.fence], left, m.term), out |-> {}]
             ELSE IF m.op = "Offered" /\ Planted("offer valid from its receipt")
             THEN [x |-> Hold([x EXCEPT !.fence = m.fence], m.term, m.term), out |-> {}]
             ELSE Confirm(h, x, m.fence, m.term)
      [] m.op = "Renewed" /\ x.st = "Confirming" ->
             IF left > 0 THEN [x |-> Hold(x, left, m.term), out |-> {}]
             ELSE IF m.term = 0 /\ left = 0
             THEN \* Recalled before its confirmation was heard of: given back, asked for again.
                  LET back == GiveBack(h, [x EXCEPT !.gone = Max(@, x.fence)], x.fence)
                      again == AskAcquire(h, [back.x EXCEPT !.st = "Wanted"])
                  IN [x |-> again.x, out |-> back.out \cup again.out]
             ELSE Confirm(h, x, x.fence, x.term)
      [] m.op \in {"Renewed", "Reclaimed"} /\ x.st = "Held" /\ x.left = 0
              /\ ~Planted("a late renewal revives") -> Leave(h, x)
      [] m.op = "Renewed" /\ x.st = "Held" ->
             LET y == [x EXCEPT !.left = Extended(@, left), !.term = Max(@, m.term),
                                !.home = x.epoch.inc]
             \* Recalled, and there is no grace: it is given back.
             IN IF m.term = 0 /\ y.left # Suspect THEN Leave(h, y) ELSE [x |-> y, out |-> {}]
      [] m.op = "NotHeldHere" /\ x.st = "Confirming" ->
             AskAcquire(h, [x EXCEPT !.st = "Wanted", !.gone = Max(@, x.fence)])
      [] m.op = "Refused" /\ x.st = "Wanted" /\ ~p.old -> [x |-> Ended(x), out |-> {}]
      [] m.op = "NotHeldHere" /\ x.st = "Held" -> [x |-> Ended(x), out |-> {}]
      [] m.op = "Reclaimed" /\ x.st = "Held" ->
             [x |-> [x EXCEPT !.left = Extended(@, left), !.home = x.epoch.inc], out |-> {}]
      [] OTHER -> same

(***************************************************************************)
(* The steps of a holder.                                                  *)
(***************************************************************************)
HolderDoes(h, result) ==
    /\ Become(granter, disk, [holder EXCEPT ![h] = result.x], net \cup result.out)
    /\ UNCHANGED <<budget, highest>>

Wish(h, mode, term) ==
    /\ holder[h].st = "Idle" /\ CanAsk(holder[h], 1) /\ holder[h].wishes < Wishes
    /\ HolderDoes(h, AskAcquire(h, [holder[h] EXCEPT !.st = "Wanted", !.wishes = @ + 1,
                                        !.mode = mode, !.term = term, !.fence = 0]))

\* For the same term (0), or for a longer one.
Lengths(h) == {0} \cup { t \in Terms : t > holder[h].term \/ Planted("a renewal shortens") }

AskToRenew(h, longer) ==
    /\ holder[h].st = "Held" /\ holder[h].left # 0 /\ CanAsk(holder[h], 1)
    /\ HolderDoes(h, AskRenew(h, holder[h], longer))

\* A reclaim that found no room is tried again: the lease then counts from that later sending.
ReclaimAgain(h) ==
    LET x == holder[h] IN
    /\ x.st = "Held"
    /\ x.left > 0 \/ Planted("reclaim when not valid")
    /\ x.home # x.epoch.inc /\ CanAsk(x, 1)
    /\ HolderDoes(h, Ask(h, x, "Reclaim", x.fence, x.mode, x.term))

GiveUp(h) == holder[h].st # "Idle" /\ HolderDoes(h, Leave(h, holder[h]))

\* A lease is over at its deadline, whatever anybody says (I13).
Expire(h) == holder[h].st = "Held" /\ holder[h].left = 0 /\ HolderDoes(h, Leave(h, holder[h]))

HolderReceives(m) ==
    /\ m.to = "holder"
    /\ \E p \in holder[m.h].pending :
        /\ p.id = m.id
        /\ LET x == [holder[m.h] EXCEPT !.pending = @ \ {p}]
               heard == Heard(m.h, x, p, m)
           IN CanAsk(heard.x, 0) /\ HolderDoes(m.h, heard)

(***************************************************************************)
(* A new connection: the old one's requests are void on both sides, and    *)
(* what they asked for is asked again under new ids.  Closing, opening and *)
(* the granter's answer are one step: what could come between them could   *)
(* as well come before, its messages lost.  Whether the last release was   *)
(* answered is not modelled: it is sent again, or it is not.               *)
(***************************************************************************)
Reopen(h, again) ==
    LET old == holder[h]
        new == old.epoch.inc # granter.inc
        x == [old EXCEPT !.epoch = [inc |-> granter.inc, opening |-> IF new THEN 1 ELSE @.opening + 1],
                         !.pending = {}]
        settledHere == old.leaving # None /\ old.leaving.fence > 0 /\ old.leaving.home # granter.inc
        succeeded == old.leaving # None /\ old.leaving.fence = 0 /\ old.st \in {"Confirming", "Held"}
        mayLeave == old.leaving # None /\ ~settledHere /\ ~succeeded
        valid == old.left > 0 \/ (Planted("reclaim when not valid") /\ old.st = "Held")
        Resumed(y) ==
            CASE y.st = "Wanted" -> AskAcquire(h, y)
              [] y.st = "Confirming" /\ y.home = granter.inc -> AskRenew(h, y, 0)
              [] y.st = "Confirming" ->
                     AskAcquire(h, [y EXCEPT !.st = "Wanted", !.gone = Max(@, y.fence)])
              [] y.st = "Held" /\ y.home # granter.inc /\ valid ->
                     Ask(h, y, "Reclaim", y.fence, y.mode, y.term)
              [] y.st = "Held" /\ y.home # granter.inc -> [x |-> Ended(y), out |-> {}]
              [] OTHER -> [x |-> y, out |-> {}]
    IN
    /\ Listens(granter)
    /\ new \/ budget.reopenings > 0
    /\ budget' = IF new THEN budget ELSE [budget EXCEPT !.reopenings = @ - 1]
    /\ UNCHANGED highest
    /\ \/ CanAsk(x, 2)
       \/ ~mayLeave /\ CanAsk(x, 1)
       \/ ~mayLeave /\ x.st = "Idle"
    /\ again => mayLeave
    /\ LET op == IF old.leaving.fence = 0 THEN "Withdraw" ELSE "Release"
           left == IF again THEN Ask(h, x, op, old.leaving.fence, x.mode, 0)
                   ELSE [x |-> [x EXCEPT !.leaving = None], out |-> {}]
           rest == Resumed(left.x)
           \* The session may have been forgotten meanwhile, its ids with it: only the epoch is new.
           g == [granter EXCEPT !.lastId[h] = 0]
       IN Become(g, disk, [holder EXCEPT ![h] = rest.x], net \cup left.out \cup rest.out)

\* Continuity of a holder's clock cannot be shown: its leases are suspect, and requests in flight
\* are no anchors any more (I5).
Break(h) ==
    /\ budget.breaks > 0
    /\ LET kept == Planted("anchors survive a break")
           hidden == Planted("a break hides an end") /\ holder[h].st = "Held"
           x == [holder[h] EXCEPT !.left = IF @ > 0 \/ hidden THEN Suspect ELSE @,
                     !.pending = { [p EXCEPT !.age = IF kept THEN 0 ELSE Void] : p \in @ }]
       IN x # holder[h] /\ Become(granter, disk, [holder EXCEPT ![h] = x], net)
    /\ budget' = [budget EXCEPT !.breaks = @ - 1]
    /\ UNCHANGED highest

(***************************************************************************)
(* A tick of true time.  The slow hand moves by `slow`, each fast hand by  *)
(* `fast[h]`: all the power that an adversary has over clocks that keep    *)
(* their contract.  Leases that must be over are freed at once: freeing    *)
(* them later is a slow hand that stood still for longer.                  *)
(***************************************************************************)
Fasts == [Holders -> 1..FastMax]

TickBy(slow, fast) ==
    LET margin == IF Planted("freed a tick early") THEN 1 ELSE 0
        Older(lease) == IF lease = None \/ lease.left - slow <= margin * slow THEN None
                        ELSE [lease EXCEPT !.left = @ - slow]
        g == [granter EXCEPT !.wait = IF @ = None THEN None ELSE Max(@ - slow, 0),
                             !.lease = [h \in Holders |-> Older(@[h])]]
        hs == [h \in Holders |->
                 [holder[h] EXCEPT !.left = After(@, fast[h]),
                                   !.pending = { [p EXCEPT !.age = Aged(@, fast[h])] : p \in @ }]]
    IN /\ Become(g, disk, hs, net)
       /\ UNCHANGED <<budget, highest>>

Tick == \E slow \in 0..1, fast \in Fasts : TickBy(slow, fast)

(***************************************************************************)
(* Everything together.                                                    *)
(***************************************************************************)
Init ==
    LET record == [inc |-> 1, mark |-> 0, promise |-> 0, settled |-> 1, leftovers |-> FALSE] IN
    /\ granter = [phase |-> "Serving", inc |-> 1, past |-> 0, next |-> 1, wait |-> None,
                  lease |-> [h \in Holders |-> None], parked |-> [h \in Holders |-> None],
                  lastId |-> [h \in Holders |-> 0], queue |-> <<>>]
    /\ disk = [stored |-> record, writing |-> None, covered |-> record, wanted |-> record,
                failed |-> FALSE]
    /\ holder = [h \in Holders |->
                   [st |-> "Idle", fence |-> 0, mode |-> "exclusive", term |-> 0, left |-> 0,
                    home |-> 0, gone |-> 0, next |-> 1, pending |-> {}, leaving |-> None,
                    wishes |-> 0, epoch |-> [inc |-> 1, opening |-> 1]]]
    /\ net = {}
    /\ budget = [grants |-> Grants, crashes |-> Crashes, exits |-> Exits, failures |-> Failures,
                 reopenings |-> Reopenings, breaks |-> Breaks]
    /\ highest = 0

GranterStep ==
    \/ \E m \in net : GranterReceives(m) \/ FindsNoRoom(m)
    \/ \E h \in Holders : Unpark(h) \/ Recall(h)
    \/ Serve \/ EndWait \/ Lower \/ Stored \/ StoreWrites \/ Exit
    \/ \E r \in PossibleRecords(disk) : StoreFails(r) \/ Crash(r)

HolderStep ==
    \/ \E m \in net : HolderReceives(m)
    \/ \E h \in Holders :
        \/ GiveUp(h) \/ Break(h) \/ ReclaimAgain(h)
        \/ \E mode \in Modes, term \in Terms : Wish(h, mode, term)
        \/ \E longer \in Lengths(h) : AskToRenew(h, longer)
        \/ \E again \in BOOLEAN : Reopen(h, again)

Next == GranterStep \/ HolderStep \/ Tick

Spec == Init /\ [][Next]_vars

(***************************************************************************)
(* INVARIANTS, by their ids in docs/claims.md.                             *)
(***************************************************************************)

\* A guarded act of h takes effect now.  It depends on nothing but h's own state and hand (I8, I13).
CanAct(h) ==
    holder[h].st = "Held" /\ (holder[h].left > 0 \/ Planted("a flag instead of a deadline"))

IsGranted(h) == Has(granter, h, holder[h].fence)

\* What everything else is for: nobody acts beside an exclusive holder.
Exclusive ==
    \A a, b \in Holders : a # b /\ CanAct(a) /\ CanAct(b) =>
        holder[a].mode = "shared" /\ holder[b].mode = "shared"

\* I3: a holder counts from no later than its granter: never more is left at the holder.
I3_HolderCountsFromEarlier ==
    \A h \in Holders : CanAct(h) /\ IsGranted(h) => holder[h].left <= granter.lease[h].left

\* I4: a name is freed only when its lease is over at the holder, and I9: when its guard is closed.
I4_FreedOnlyWhenOver ==
    granter.phase \in {"Settling", "Serving", "Stopping"} =>
        \A h \in Holders : CanAct(h) => IsGranted(h)

\* I6: what was promised is durable, whichever record the disk holds.
I6_PromisesAreDurable ==
    \A r \in PossibleRecords(disk), h \in Holders :
        /\ CanAct(h) => r.promise >= holder[h].left /\ r.leftovers /\ r.mark >= holder[h].fence
        /\ granter.lease[h] # None =>
               /\ r.inc = granter.inc
               /\ r.leftovers /\ r.promise >= granter.lease[h].term
               /\ r.mark >= granter.lease[h].fence

\* I7: every fence is above all that were given before, in this life or another; so whoever acts
\* alone has the newest fence, and a resource that refuses older ones never refuses it.
I7_FencesIncrease ==
    /\ granter.next > highest
    /\ \A h \in Holders : CanAct(h) /\ holder[h].mode = "exclusive" => holder[h].fence = highest

\* I11: a granter that has forgotten its grants waits for the last of them, but for those reclaimed.
I11_RestartWaits ==
    granter.phase \in {"Starting", "Waiting"} =>
        \A h \in Holders : CanAct(h) =>
            IsGranted(h) \/ (granter.wait # None /\ holder[h].left <= granter.wait)

\* I12: what a holder's user was told is over stays over.
I12_OverIsFinal ==
    \A h \in Holders : holder[h].st \in {"Confirming", "Held"} => holder[h].fence > holder[h].gone

\* I12, as a rule on steps: no reply revives a lease whose deadline has passed.
I12_NoLateReplyRevives ==
    [][ \A h \in Holders :
          (/\ holder[h].st = "Held" /\ holder[h].left = 0
           /\ holder'[h].st = "Held" /\ holder'[h].fence = holder[h].fence)
          => holder'[h].left = 0 ]_holder

(***************************************************************************)
(* LIVENESS.                                                               *)
(***************************************************************************)

\* I13: though nobody else ever takes a step that it must, and no message arrives, every lease ends.
Alone == Spec /\ WF_vars(Tick)
I13_LossIsLocal == \A h \in Holders : <>[](~CanAct(h))

\* A world that heals: whatever can be done is done at last, and connections to a granter that has
\* restarted are noticed.  Time still passes as it likes, and holders still do as they like.
Healed ==
    /\ Spec
    /\ WF_vars(Tick /\ (\E h \in Holders : granter'.lease[h] # granter.lease[h]
                                        \/ granter'.wait # granter.wait))
    /\ WF_vars(Serve) /\ WF_vars(EndWait) /\ WF_vars(Stored) /\ WF_vars(StoreWrites)
    /\ \A h \in Holders :
        /\ WF_vars(Tick /\ holder'[h].left # holder[h].left)
        /\ WF_vars(Unpark(h)) /\ WF_vars(Expire(h))
        /\ WF_vars(holder[h].epoch.inc # granter.inc /\ (\E again \in BOOLEAN : Reopen(h, again)))
        /\ WF_vars(\E m \in net : m.h = h /\ GranterReceives(m))
        /\ WF_vars(\E m \in net : m.h = h /\ HolderReceives(m))

\* Who wants the name gets it, or gives up, or has no request left in this bounded model.
WishesAreGranted ==
    \A h \in Holders :
        holder[h].st = "Wanted" ~> (holder[h].st \in {"Held", "Idle"} \/ ~CanAsk(holder[h], 2))

(***************************************************************************)
(* WITNESSES: what must be possible, or the invariants above say nothing.  *)
(* TLC is to find each of these false.                                     *)
(***************************************************************************)
NobodyReclaims == \A h \in Holders : ~(CanAct(h) /\ holder[h].home > 1 /\ holder[h].wishes = 1
                                      /\ granter.phase = "Waiting")
NobodyShares == \A a, b \in Holders : a = b \/ ~CanAct(a) \/ ~CanAct(b)
NobodySucceeds == \A a, b \in Holders : ~(CanAct(a) /\ holder[a].fence > holder[b].gone
                                          /\ holder[b].gone > 0)
NobodyOutlivesACrash == ~(\E h \in Holders : CanAct(h) /\ granter.phase = "Serving" /\ granter.inc > 1
                                              /\ holder[h].fence <= granter.past)

Symmetry == Permutations(Holders)
=============================================================================
