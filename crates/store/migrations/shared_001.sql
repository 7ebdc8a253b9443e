-- Shared state of several gateways (see crates/ports/src/shared.rs for the protocol). The rules of `exchange` are those of
-- crates/store/src/shared/memory.rs.
--
-- Locks, always in this order, so that exchanges wait for each other but never in a circle: the replica's own row, then
-- an advisory lock for every account and key (256 of them stand for all, since the server has room for few), sorted. Times are milliseconds of the server's clock.

create table gauntlet_shared.mark (
    is_one boolean primary key default true check (is_one),
    epoch text not null,
    settle_until bigint not null
);
-- Made with the tables, so a new database need not settle.
insert into gauntlet_shared.mark values
    (true, (extract(epoch from clock_timestamp()) * 1000000)::bigint::text, 0);

create table gauntlet_shared.replicas (
    replica bytea primary key,
    session bigint,
    retired bigint,
    seq bigint not null,
    seen bigint not null,
    alive_until bigint not null
) with (fillfactor = 50);

create table gauntlet_shared.accounts (
    account bytea primary key,
    floor numeric not null,
    settle_until bigint not null,
    drop_at bigint not null
) with (fillfactor = 50);

create table gauntlet_shared.slices (
    account bytea not null,
    replica bytea not null,
    spent bigint not null,
    slice bigint not null,
    need bigint not null,
    drop_at bigint not null,
    primary key (account, replica)
) with (fillfactor = 50);
create index slices_by_replica on gauntlet_shared.slices (replica);

create table gauntlet_shared.buckets (
    key bytea primary key,
    level numeric not null,
    at bigint not null,
    full_at bigint not null
) with (fillfactor = 50);

create table gauntlet_shared.places (
    key bytea not null,
    replica bytea not null,
    slots bigint not null,
    until bigint not null,
    primary key (key, replica)
) with (fillfactor = 50);

create function gauntlet_shared.now_ms() returns bigint language sql volatile as
    $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint $$;

-- 1196314740 is `GNtt`; locks of two numbers never meet those of one, which other programs mostly take.
create function gauntlet_shared.lock(names bytea[]) returns void language sql volatile as $$
    select pg_advisory_xact_lock(1196314740, number) from (
        select distinct (hashtextextended(encode(name, 'hex'), 0) & 255)::int as number
        from unnest(names) name order by number
    ) sorted
$$;

-- `figures` holds eight numbers a budget (cap, spent, held, keep, need, want, elsewhere, forget), four a rate (per_minute,
-- burst, take, need) and four a slot (max, used, keep, want). So does the answer: four a budget (slice, elsewhere spent,
-- elsewhere slices, settling), two a rate (taken, wait), one a slot.
create function gauntlet_shared.exchange(
    is_leaving boolean, p_replica bytea, p_session bigint, p_seq bigint, p_acked bigint, p_lease bigint,
    accounts_asked bytea[], budget_figures bigint[], rates_asked bytea[], rate_figures bigint[],
    slots_asked bytea[], slot_figures bigint[],
    out verdict text, out epoch text, out is_settling boolean, out alive bigint,
    out budget_answers bigint[], out rate_answers bigint[], out slot_answers bigint[]
) language plpgsql as $$
declare
    now_at bigint;
    seat gauntlet_shared.replicas%rowtype;
    known_seq bigint := 0;
    settling_until bigint;
    last_retired bigint;
begin
    -- Under a snapshot taken before the locks, the figures of others would be old ones.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the exchange needs the isolation level read committed';
    end if;

    insert into gauntlet_shared.replicas values (p_replica, null, null, 0, 0, 0) on conflict do nothing;
    select * into strict seat from gauntlet_shared.replicas where replica = p_replica for update;
    now_at := gauntlet_shared.now_ms();
    last_retired := seat.retired;
    if p_session <= seat.retired then
        verdict := 'superseded';
        return;
    elsif seat.session = p_session then
        known_seq := seat.seq;
        if p_seq <= seat.seq then
            verdict := 'stale';
            return;
        end if;
    elsif seat.session is not null then
        if now_at < seat.alive_until then
            verdict := 'in_use';
            alive := seat.alive_until - now_at;
            return;
        elsif p_session < seat.session then
            verdict := 'superseded';
            return;
        end if;
        last_retired := seat.session;
    end if;

    perform gauntlet_shared.lock(
        accounts_asked || rates_asked || slots_asked
        -- A replica that leaves gives back the rest too.
        || case when is_leaving then array(select account from gauntlet_shared.slices where replica = p_replica) end);
    now_at := gauntlet_shared.now_ms();

    update gauntlet_shared.replicas set
        session = case when is_leaving then null else p_session end,
        retired = case when is_leaving then p_session else last_retired end,
        seq = p_seq, seen = now_at,
        alive_until = case when is_leaving then now_at else now_at + p_lease end
        where replica = p_replica;

    if known_seq < p_acked then
        update gauntlet_shared.mark set
            epoch = (extract(epoch from clock_timestamp()) * 1000000)::bigint::text,
            settle_until = greatest(mark.settle_until, now_at + p_lease);
    end if;
    select mark.epoch, mark.settle_until into strict epoch, settling_until from gauntlet_shared.mark;
    is_settling := now_at < settling_until;
    select 1 + count(*) into alive from gauntlet_shared.replicas r
        where r.replica <> p_replica and r.session is not null and now_at < r.alive_until;

    -- Budgets, all in one statement: what was asked, what others have, what follows.
    if cardinality(accounts_asked) > 0 then
        with asked as (
            select n, accounts_asked[n] as account,
                budget_figures[8*n - 7]::numeric as cap, budget_figures[8*n - 6] as spent,
                budget_figures[8*n - 5] as held, budget_figures[8*n - 4] as keep, budget_figures[8*n - 3] as need,
                budget_figures[8*n - 2] as want, budget_figures[8*n - 1] as elsewhere, budget_figures[8*n] as forget
            from generate_series(1, cardinality(accounts_asked)) n
        ), others as (
            select s.account, sum(s.spent) as spent, sum(s.slice) as slices,
                bool_or(s.need > 0 and r.session is not null and now_at < r.alive_until) as is_wanted
            from gauntlet_shared.slices s left join gauntlet_shared.replicas r on r.replica = s.replica
            where s.account = any(accounts_asked) and s.replica <> p_replica and s.drop_at > now_at
            group by s.account
        ), known as (
            select a.*, own.replica is not null as is_known, own.drop_at as own_drop,
                greatest(a.spent, own.spent) as new_spent,
                coalesce(o.spent, 0) as others_spent, coalesce(o.slices, 0) as others_slices,
                coalesce(o.is_wanted, false) as is_wanted,
                -- An account that was dropped begins anew.
                case when acc.drop_at > now_at then acc.floor else 0 end as old_floor,
                greatest(
                    case when acc.drop_at > now_at then acc.settle_until else 0 end,
                    case when own.replica is null and a.keep > 0 then now_at + p_lease else 0 end
                ) as account_settle,
                case when acc.drop_at > now_at then acc.drop_at else 0 end as account_drop
            from asked a
            left join others o on o.account = a.account
            left join gauntlet_shared.slices own
                on own.account = a.account and own.replica = p_replica and own.drop_at > now_at
            left join gauntlet_shared.accounts acc on acc.account = a.account
        ), totals as (
            select k.*, greatest(old_floor, new_spent::numeric + elsewhere) as new_floor,
                greatest(old_floor, new_spent::numeric + elsewhere, others_spent + new_spent) as total
            from known k
        ), rooms as (
            select t.*, cap - total - others_slices as room, is_settling or now_at < account_settle as settles
            from totals t
        ), firms as (
            select r.*, need <= room - held as is_met,
                held + case when need <= room - held then need::numeric else 0 end as firm
            from rooms r
        ), grants as (
            select f.*,
                case when settles then keep else greatest(firm, least(want, firm +
                    case when is_wanted or room <= firm then 0 else div(room - firm, (2 * alive)::numeric) end)) end as granted,
                case when not settles and not is_met and need <= cap - total - held then need else 0 end as unmet,
                case when is_known and abs(now_at + forget - own_drop) < forget / 10 then own_drop
                    else now_at + forget end as new_drop
            from firms f
        ), written as (
            insert into gauntlet_shared.slices as s
            select account, p_replica, new_spent,
                case when is_leaving then least(greatest(granted, keep), held) else greatest(granted, keep) end,
                case when is_leaving then 0 else unmet end, new_drop
            from grants order by account
            on conflict (account, replica) do update set
                spent = excluded.spent, slice = excluded.slice, need = excluded.need, drop_at = excluded.drop_at
            -- An idle account costs no write.
            where (s.spent, s.slice, s.need, s.drop_at)
                is distinct from (excluded.spent, excluded.slice, excluded.need, excluded.drop_at)
        ), accounts_written as (
            insert into gauntlet_shared.accounts as acc
            select account, new_floor, account_settle, greatest(account_drop, new_drop) from grants order by account
            on conflict (account) do update set
                floor = excluded.floor, settle_until = excluded.settle_until, drop_at = excluded.drop_at
            where (acc.floor, acc.settle_until, acc.drop_at)
                is distinct from (excluded.floor, excluded.settle_until, excluded.drop_at)
        )
        select array_agg(least(greatest(value, -9223372036854775808), 9223372036854775807)::bigint order by n, place) into budget_answers
        from grants, lateral (values
            (1, granted), (2, total - new_spent), (3, others_slices), (4, settles::int::numeric)
        ) answer (place, value);
    end if;

    -- Rates; a level counts in 1/60000 of a token.
    if cardinality(rates_asked) > 0 then
        with asked as (
            select n, rates_asked[n] as key, rate_figures[4*n - 3]::numeric as per_minute,
                rate_figures[4*n - 2]::numeric as burst, rate_figures[4*n - 1]::numeric as take,
                rate_figures[4*n]::numeric as need
            from generate_series(1, cardinality(rates_asked)) n
        ), levels as (
            select a.*, least(burst * 60000,
                coalesce(b.level + greatest(0, now_at - b.at) * per_minute, burst * 60000)) as level
            from asked a left join gauntlet_shared.buckets b on b.key = a.key
        ), taking as (
            select l.*, case when take < 0 then take
                when div(level, 60000) < need then 0
                else least(greatest(take, need), div(level, 60000)) end as taken
            from levels l
        ), written as (
            insert into gauntlet_shared.buckets
            select key, least(burst * 60000, level - taken * 60000), now_at,
                now_at + least(30 * 86400000::bigint, ceil(burst * 60000 / greatest(per_minute, 1)))
            from taking order by key
            on conflict (key) do update set level = excluded.level, at = excluded.at, full_at = excluded.full_at
        )
        select array_agg(least(greatest(value, -9223372036854775808), 9223372036854775807)::bigint order by n, place) into rate_answers
        from taking, lateral (values
            (1, taken),
            (2, case when take < 0 or div(level, 60000) >= need then 0
                when per_minute = 0 or need > burst then -1
                else ceil((need * 60000 - level) / per_minute) end)
        ) answer (place, value);
    end if;

    -- Places for calls in flight.
    if cardinality(slots_asked) > 0 then
        with asked as (
            select n, slots_asked[n] as key, slot_figures[4*n - 3] as max, slot_figures[4*n - 2] as used,
                slot_figures[4*n - 1] as keep, slot_figures[4*n] as want
            from generate_series(1, cardinality(slots_asked)) n
        ), grants as (
            select a.*, case when is_settling then keep else greatest(used, least(want, greatest(0, max - (
                select coalesce(sum(p.slots), 0) from gauntlet_shared.places p
                where p.key = a.key and p.replica <> p_replica and p.until > now_at)))) end as slots
            from asked a
        ), written as (
            insert into gauntlet_shared.places
            select key, p_replica, greatest(slots, keep), now_at + p_lease from grants
            where not is_leaving order by key
            on conflict (key, replica) do update set slots = excluded.slots, until = excluded.until
        )
        select array_agg(slots order by n) into slot_answers from grants;
    end if;

    if is_leaving then
        perform gauntlet_shared.release(p_replica, accounts_asked);
    end if;

    -- Now and then, what has had its time is taken away; rows that somebody holds can wait.
    if p_seq % 256 = 1 then
        delete from gauntlet_shared.slices s using (
            select account, replica from gauntlet_shared.slices where drop_at <= now_at
            limit 1000 for update skip locked) gone
            where s.account = gone.account and s.replica = gone.replica;
        delete from gauntlet_shared.accounts a using (
            select account from gauntlet_shared.accounts where drop_at <= now_at
            limit 1000 for update skip locked) gone where a.account = gone.account;
        delete from gauntlet_shared.buckets b using (
            select key from gauntlet_shared.buckets where full_at + 60000 <= now_at
            limit 1000 for update skip locked) gone where b.key = gone.key;
        delete from gauntlet_shared.places p using (
            select key, replica from gauntlet_shared.places where until <= now_at
            limit 1000 for update skip locked) gone where p.key = gone.key and p.replica = gone.replica;
        delete from gauntlet_shared.replicas r using (
            select replica from gauntlet_shared.replicas o where seen + 7 * 86400000::bigint <= now_at
                and not exists (select from gauntlet_shared.slices s where s.replica = o.replica)
            limit 1000 for update skip locked) gone where r.replica = gone.replica;
    end if;
    verdict := 'ok';
end $$;

-- Gives back what a replica holds, but in the accounts that are kept. The caller holds their locks.
create function gauntlet_shared.release(p_replica bytea, kept bytea[]) returns void language plpgsql as $$
begin
    update gauntlet_shared.slices set slice = 0, need = 0
        where replica = p_replica and account <> all (kept) and (slice <> 0 or need <> 0);
    delete from gauntlet_shared.places where replica = p_replica;
end $$;

create function gauntlet_shared.forget(p_replica bytea, out verdict text, out wait bigint) language plpgsql as $$
declare
    seat gauntlet_shared.replicas%rowtype;
    now_at bigint;
begin
    wait := 0;
    select * into seat from gauntlet_shared.replicas where replica = p_replica for update;
    if not found then
        verdict := 'unknown';
        return;
    end if;
    now_at := gauntlet_shared.now_ms();
    if seat.session is not null and now_at < seat.alive_until then
        verdict := 'in_use';
        wait := seat.alive_until - now_at;
        return;
    end if;
    perform gauntlet_shared.lock(array(select account from gauntlet_shared.slices where replica = p_replica));
    update gauntlet_shared.replicas set retired = coalesce(session, retired), session = null
        where replica = p_replica;
    perform gauntlet_shared.release(p_replica, array[]::bytea[]);
    verdict := 'ok';
end $$;

create function gauntlet_shared.list(
    out replica bytea, out seen_ago bigint, out is_alive boolean, out accounts bigint, out slices bigint
) returns setof record language sql volatile as $$
    select * from (
        select r.replica, greatest(0, t.now_at - r.seen), r.session is not null and t.now_at < r.alive_until as is_alive,
            count(s.account) as accounts, least(coalesce(sum(s.slice), 0), 9223372036854775807)::bigint
        from (select gauntlet_shared.now_ms() as now_at) t cross join gauntlet_shared.replicas r
        left join gauntlet_shared.slices s on s.replica = r.replica and s.slice > 0 and s.drop_at > t.now_at
        group by r.replica, t.now_at
    ) lines where is_alive or accounts > 0 order by replica
$$;
