------------------------------- MODULE Replay -------------------------------
(***************************************************************************)
(* Behaviours of Lease.tla that the code can follow: TLC draws them, and   *)
(* crates/core/tests/replay.rs does the same with a Granter and Holders    *)
(* and compares the states.                                                *)
(*                                                                         *)
(* Lease.tla lets everything that may be done be done late.  The code does *)
(* some of it at once, within the input that made it possible.  So each    *)
(* behaviour here is one of Lease.tla in which those steps follow at once, *)
(* in the order of the code: Next is a part of Lease's Next.  `step` names *)
(* each step, and says whether it is an input or follows from the one      *)
(* before.                                                                 *)
(***************************************************************************)
EXTENDS Lease

VARIABLES
    step,   \* the step that led here
    code    \* where the code is, beyond what Lease.tla knows: only schedules

(***************************************************************************)
(* What follows from the last input, first things first.                   *)
(***************************************************************************)
NextParked ==
    LET ready == { i \in DOMAIN code.retried : CanUnpark(code.retried[i]) }
    IN IF ready = {} THEN 0 ELSE CHOOSE i \in ready : \A j \in ready : i <= j

IsOver(h) == holder[h].st = "Held" /\ holder[h].left = 0

Unwritten == disk # Written(disk)

Follows ==
    CASE code.recalling /\ (\E h \in Holders : CanRecall(h)) -> "Recall"
      [] code.overdue /\ Unwritten -> "StoreWrites"
      [] CanEndWait -> "EndWait"
      [] NextParked # 0 -> "Unpark"
      [] code.writes /\ Unwritten -> "StoreWrites"
      [] CanServe /\ ~code.starved -> "Serve"
      [] \E h \in code.touched : IsOver(h) -> "Expire"
      [] OTHER -> "nothing"

Calm == Follows = "nothing"

(***************************************************************************)
(* The schedules of the code.                                              *)
(*   retried    parked acquires that are tried again now, in their order   *)
(*   parked     all of them, in the order in which they came               *)
(*   starved    its queue waits for the store: nobody is served until then *)
(*   writes     the last input was an answer of the store                  *)
(*   armed      a failed write is tried again after a tick of the granter  *)
(*   overdue    ... which was this one                                     *)
(*   lowering   the bound will be lowered, ten seconds after it could be   *)
(*   slow       ticks of the slow hand, below those ten seconds            *)
(*   recalling  all holders of a name are recalled together                *)
(*   touched    whose lease is looked at: that of the holder with an input *)
(*   longer     the longer term that a holder wants until it gets it       *)
(***************************************************************************)
SlowMax == 8

Survives(h) ==
    granter.lease[h] # None /\ granter'.lease[h] # None
        /\ granter'.lease[h].fence = granter.lease[h].fence

Freeing == \E h \in Holders : granter.lease[h] # None /\ ~Survives(h)

Kept == Longest({ granter.lease[h].term : h \in { k \in Holders : Survives(k) } })

Parked(parked) ==
    LET stays(h) == granter'.parked[h] # None /\ granter'.parked[h] = granter.parked[h]
                        /\ ~(step'.op = "Unpark" /\ step'.h = h)
        added == { h \in Holders : granter'.parked[h] # None /\ ~stays(h) }
    IN SelectSeq(parked, stays) \o (IF added = {} THEN <<>> ELSE <<CHOOSE h \in added : TRUE>>)

Longer(h) ==
    CASE holder'[h].st # "Held" \/ holder[h].st # "Held" -> 0
      [] step'.op = "AskToRenew" /\ step'.h = h /\ step'.longer > 0 -> step'.longer
      [] code.longer[h] <= holder'[h].term -> 0
      [] OTHER -> code.longer[h]

Scheduled(op, h) ==
    LET restarts == op = "Crash"
        ticked == op = "Tick" /\ step'.slow = 1
        input == step'.input
        parked == IF restarts THEN <<>> ELSE Parked(code.parked)
    IN code' =
        [ parked |-> parked,
          retried |-> CASE op = "Stored" -> parked
                        [] op = "Unpark" -> SubSeq(code.retried, NextParked + 1, Len(code.retried))
                        [] input -> <<>>
                        [] OTHER -> code.retried,
          starved |-> CASE restarts \/ op = "Stored" -> FALSE
                        [] op = "Serve" /\ granter' = granter -> TRUE
                        [] OTHER -> code.starved,
          writes |-> IF input THEN op = "Stored" ELSE code.writes,
          armed |-> CASE restarts \/ ticked -> FALSE
                      [] op = "StoreFails" -> granter.phase # "Stopping"
                      [] OTHER -> code.armed,
          overdue |-> IF input THEN ticked /\ code.armed ELSE code.overdue,
          lowering |-> CASE restarts \/ op = "Lower" -> FALSE
                         [] Freeing /\ Kept < disk.wanted.promise -> TRUE
                         [] OTHER -> code.lowering,
          slow |-> IF restarts \/ op = "Lower" THEN 0 ELSE IF ticked THEN code.slow + 1 ELSE code.slow,
          recalling |-> op = "Recall",
          touched |-> IF input THEN h ELSE code.touched,
          longer |-> [k \in Holders |-> Longer(k)] ]

\* Names a step and moves the schedules on.
Is(name) == step' = name /\ Scheduled(name.op, {})
IsOf(h, name) == step' = name /\ Scheduled(name.op, {h})

Input(op) == [op |-> op, input |-> TRUE]
InputOf(op, h) == [op |-> op, input |-> TRUE, h |-> h]
Follow(op) == [op |-> op, input |-> FALSE]
FollowOf(op, h) == [op |-> op, input |-> FALSE, h |-> h]

(***************************************************************************)
(* The steps, in groups of which TLC picks one at random.                  *)
(***************************************************************************)
Following ==
    \/ Follows = "Recall" /\ \E h \in Holders : Recall(h) /\ Is(FollowOf("Recall", h))
    \/ Follows = "StoreWrites" /\ StoreWrites /\ Is(Follow("StoreWrites"))
    \/ Follows = "EndWait" /\ EndWait /\ Is(Follow("EndWait"))
    \/ Follows = "Unpark" /\ LET h == code.retried[NextParked] IN Unpark(h) /\ Is(FollowOf("Unpark", h))
    \/ Follows = "Serve" /\ Serve /\ Is(Follow("Serve"))
    \/ Follows = "Expire" /\ \E h \in code.touched : Expire(h) /\ Is(FollowOf("Expire", h))

Delivery ==
    Calm /\ \E m \in net :
        \/ GranterReceives(m) /\ Is([op |-> "GranterReceives", input |-> TRUE, m |-> m])
        \* With the answer to a reclaim, the code asks for the longer term that its user wants by then.
        \/ /\ ~(m.op = "Reclaimed" /\ code.longer[m.h] > 0)
           /\ HolderReceives(m) /\ IsOf(m.h, [op |-> "HolderReceives", input |-> TRUE, m |-> m])

\* While a lease is reclaimed, the code renews it only if it has become suspect.
IsReclaiming(h) ==
    holder[h].st = "Held" /\ holder[h].home # holder[h].epoch.inc /\ holder[h].left > 0

Using ==
    Calm /\ \E h \in Holders :
        \/ \E mode \in Modes, term \in Terms :
            Wish(h, mode, term)
                /\ IsOf(h, [op |-> "Wish", input |-> TRUE, h |-> h, mode |-> mode, term |-> term])
        \/ \E longer \in Lengths(h) :
            /\ code.longer[h] > 0 => longer > 0
            /\ ~IsReclaiming(h)
            /\ AskToRenew(h, longer)
            /\ IsOf(h, [op |-> "AskToRenew", input |-> TRUE, h |-> h, longer |-> longer])

Leaving ==
    Calm /\ \E h \in Holders :
        \/ GiveUp(h) /\ ~IsOver(h) /\ IsOf(h, InputOf("GiveUp", h))
        \/ Expire(h) /\ IsOf(h, InputOf("Expire", h))

\* Which comes first, when the wait and a lease end in the same tick, is below what a tick can tell.
Passing ==
    Calm /\ \E slow \in 0..1, fast \in Fasts :
        /\ code.slow + slow <= SlowMax
        /\ TickBy(slow, fast)
        /\ ~(granter.phase = "Waiting" /\ granter'.wait = 0 /\ granter'.lease # granter.lease
              /\ LiveTerms(granter') # LiveTerms(granter))
        /\ Is([op |-> "Tick", input |-> TRUE, slow |-> slow, fast |-> fast])

Storing ==
    Calm /\
        \/ Stored /\ Is(Input("Stored"))
        \/ \E r \in PossibleRecords(disk) : StoreFails(r) /\ Is(Input("StoreFails"))

\* With nothing held, the test lets the ten seconds pass on the granter's hand unseen.
Lowering ==
    Calm /\ code.lowering /\ ~code.armed /\ ~code.starved /\ LiveTerms(granter) = {}
        /\ Lower /\ Is(Input("Lower"))

\* A lease that is over is noticed before a break: the shell has woken its holder.
Disturbing ==
    Calm /\
        \/ Exit /\ Is(Input("Exit"))
        \/ /\ LiveTerms(granter) # {} \/ granter.phase # "Serving" \/ disk.writing # None
           /\ \E r \in PossibleRecords(disk) :
                Crash(r) /\ Is([op |-> "Crash", input |-> TRUE, record |-> r])
        \/ \E h \in Holders :
            \/ Recall(h) /\ Is(InputOf("Recall", h))
            \/ Break(h) /\ ~IsOver(h) /\ IsOf(h, InputOf("Break", h))

\* A lease that is over ends while there is no connection: to what was given back before, it is no
\* successor then; and the test cannot answer that without looking at the lease.
Reconnecting ==
    Calm /\ \E h \in Holders, again \in BOOLEAN :
        /\ ~(IsOver(h) /\ holder[h].leaving # None)
        /\ Reopen(h, again)
        /\ IsOf(h, [op |-> "Reopen", input |-> TRUE, h |-> h, again |-> again])

\* Soon after a restart of the granter, lest all be over by then.
Returning == Reconnecting /\ step'.h \in { h \in Holders : holder[h].epoch.inc # granter.inc }

ReplayInit ==
    /\ Init
    /\ step = Input("Init")
    /\ code = [ parked |-> <<>>, retried |-> <<>>, starved |-> FALSE, writes |-> FALSE,
                armed |-> FALSE, overdue |-> FALSE, lowering |-> FALSE, slow |-> 0,
                recalling |-> FALSE, touched |-> {}, longer |-> [h \in Holders |-> 0] ]

\* TLC picks one of these at random, and another one if that cannot be: what is named more often is
\* done more often.
ReplayNext ==
    \/ Following
    \/ Delivery \/ Delivery \/ Delivery \/ Delivery \/ Delivery \/ Delivery \/ Delivery \/ Delivery
    \/ Using \/ Using \/ Using \/ Storing \/ Storing \/ Storing \/ Passing \/ Passing
    \/ Leaving \/ Lowering \/ Disturbing \/ Reconnecting
    \/ Returning \/ Returning \/ Returning

ReplaySpec == ReplayInit /\ [][ReplayNext]_<<vars, step, code>>
=============================================================================
