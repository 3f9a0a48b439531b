// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion between the words of a guest and the words of an SMMUv3: STEs,
 * commands and events.
 *
 * Pure functions: no lock, no allocation, no access to the hardware. No other
 * code of the driver makes an STE or a command from guest data. Section numbers
 * refer to Arm IHI 0070.
 */
#include <kunit/visibility.h>

#include "arm-smmu-v3-user.h"

/* Fields that a guest may set in the first two words of an STE, 5.2 */
#define VSTE_0_MASK                                                    \
	(STRTAB_STE_0_V | STRTAB_STE_0_CFG | STRTAB_STE_0_S1FMT |      \
	 STRTAB_STE_0_S1CTXPTR_MASK | STRTAB_STE_0_S1CDMAX)
#define VSTE_1_S1_MASK                                                 \
	(STRTAB_STE_1_S1DSS | STRTAB_STE_1_S1CIR | STRTAB_STE_1_S1COR | \
	 STRTAB_STE_1_S1CSH | STRTAB_STE_1_S1STALLD)
#define VSTE_1_MASK	(VSTE_1_S1_MASK | STRTAB_STE_1_EATS)

/**
 * arm_smmu_check_vste() - Validate a guest's STE
 * @vste: First two words of the vSTE
 * @checked: Set to the words to keep
 *
 * An STE with V=0 has no other field, 5.2: both words are kept as 0.
 * S1ContextPtr, S1Fmt, S1CDMax and S1DSS are not checked. The first is an IPA.
 * For bad combinations the SMMU reports C_BAD_STE or C_BAD_CD on this stream
 * alone.
 *
 * Return: 0, or -EIO if
 * * a bit outside of the fields that a guest may set is set
 * * Config is not abort, bypass or stage 1
 * * EATS is neither 0 nor 1
 */
int arm_smmu_check_vste(const __le64 *vste, __le64 *checked)
{
	const u64 word0 = le64_to_cpu(vste[0]);
	const u64 word1 = le64_to_cpu(vste[1]);
	unsigned int eats = FIELD_GET(STRTAB_STE_1_EATS, word1);

	checked[0] = 0;
	checked[1] = 0;
	if (!(word0 & STRTAB_STE_0_V))
		return 0;

	if ((word0 & ~VSTE_0_MASK) || (word1 & ~VSTE_1_MASK))
		return -EIO;

	switch (FIELD_GET(STRTAB_STE_0_CFG, word0)) {
	case STRTAB_STE_0_CFG_ABORT:
	case STRTAB_STE_0_CFG_BYPASS:
	case STRTAB_STE_0_CFG_S1_TRANS:
		break;
	default:
		return -EIO;
	}
	/* Split-stage ATS needs the host to translate: not offered */
	if (eats != STRTAB_STE_1_EATS_ABT && eats != STRTAB_STE_1_EATS_TRANS)
		return -EIO;

	checked[0] = vste[0];
	checked[1] = vste[1];
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_check_vste);

/**
 * arm_smmu_vste_config() - Get the Config field of a checked vSTE
 * @vste: The vSTE
 *
 * Return: STRTAB_STE_0_CFG_ABORT, also for V=0, STRTAB_STE_0_CFG_BYPASS or
 * STRTAB_STE_0_CFG_S1_TRANS
 */
unsigned int arm_smmu_vste_config(const __le64 *vste)
{
	/* A vSTE with V=0 is kept as 0: abort */
	return FIELD_GET(STRTAB_STE_0_CFG, le64_to_cpu(vste[0]));
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_vste_config);

/**
 * arm_smmu_vste_wants_ats() - Check if a checked vSTE lets the device use ATS
 * @vste: The vSTE
 *
 * A stream that aborts must not have translations in its ATC. With bypass the
 * kernel's policy applies, and the guest's EATS is ignored.
 *
 * Return: true if ATS may be enabled where the device has it
 */
bool arm_smmu_vste_wants_ats(const __le64 *vste)
{
	switch (arm_smmu_vste_config(vste)) {
	case STRTAB_STE_0_CFG_BYPASS:
		return true;
	case STRTAB_STE_0_CFG_S1_TRANS:
		return FIELD_GET(STRTAB_STE_1_EATS, le64_to_cpu(vste[1])) ==
		       STRTAB_STE_1_EATS_TRANS;
	default:
		return false;
	}
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_vste_wants_ats);

/**
 * arm_smmu_make_user_ste() - Compose the physical STE of a vSTE
 * @target: Filled in with the STE
 * @s2: Stage-2-only STE of the nest parent, with EATS by the kernel's policy
 * @vste: Checked vSTE
 * @vmid: VMID of the vSMMU
 * @force_stalld: The SMMU can stall, but stalls of this domain have no handler
 *
 * With stage 1 the guest's fields take effect within stage 2 of the host,
 * 3.3.2: S1ContextPtr and all addresses behind it are IPAs. STRW stays 0,
 * NS-EL1. MEV lets the SMMU merge events, so that a guest can't flood the
 * shared event queue, 5.2.
 *
 * Without S2FWB the host's stage 2 can't make the SMMU's own fetches coherent.
 * The SMMU then fetches the guest's CDs with the host's attributes. The
 * attributes of table walks are in the CDs, and remain the guest's choice.
 *
 * A stalled transaction waits for software, 3.12.2. With @force_stalld user
 * space would never answer: S1STALLD is set.
 */
void arm_smmu_make_user_ste(struct arm_smmu_ste *target,
			    const struct arm_smmu_ste *s2, const __le64 *vste,
			    u16 vmid, bool force_stalld)
{
	const u64 s2_word1 = le64_to_cpu(s2->data[1]);
	u64 word0 = le64_to_cpu(vste[0]);
	u64 word1 = le64_to_cpu(vste[1]);

	switch (arm_smmu_vste_config(vste)) {
	case STRTAB_STE_0_CFG_BYPASS:
		*target = *s2;
		break;
	case STRTAB_STE_0_CFG_S1_TRANS:
		*target = *s2;
		word0 &= STRTAB_STE_0_S1FMT | STRTAB_STE_0_S1CTXPTR_MASK |
			 STRTAB_STE_0_S1CDMAX;
		word0 |= STRTAB_STE_0_V |
			 FIELD_PREP(STRTAB_STE_0_CFG, STRTAB_STE_0_CFG_NESTED);
		word1 &= VSTE_1_S1_MASK;
		word1 |= STRTAB_STE_1_MEV |
			 (s2_word1 & (STRTAB_STE_1_EATS | STRTAB_STE_1_SHCFG |
				      STRTAB_STE_1_S2FWB));
		if (!(s2_word1 & STRTAB_STE_1_S2FWB)) {
			word1 &= ~(STRTAB_STE_1_S1CIR | STRTAB_STE_1_S1COR |
				   STRTAB_STE_1_S1CSH);
			word1 |= FIELD_PREP(STRTAB_STE_1_S1CIR,
					    STRTAB_STE_1_S1C_CACHE_WBRA) |
				 FIELD_PREP(STRTAB_STE_1_S1COR,
					    STRTAB_STE_1_S1C_CACHE_WBRA) |
				 FIELD_PREP(STRTAB_STE_1_S1CSH,
					    ARM_SMMU_SH_ISH);
		}
		if (force_stalld)
			word1 |= STRTAB_STE_1_S1STALLD;
		target->data[0] = cpu_to_le64(word0);
		target->data[1] = cpu_to_le64(word1);
		break;
	default:
		arm_smmu_make_abort_ste(target);
		return;
	}
	target->data[2] &= ~cpu_to_le64(STRTAB_STE_2_S2VMID);
	target->data[2] |= cpu_to_le64(FIELD_PREP(STRTAB_STE_2_S2VMID, vmid));
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_make_user_ste);

/**
 * arm_smmu_user_cmd_has_sid() - Check if a guest's command names a stream
 * @cmd: Command that arm_smmu_convert_user_cmds() has converted
 *
 * Return: true if bits [63:32] of its first word are a StreamID
 */
bool arm_smmu_user_cmd_has_sid(const u64 *cmd)
{
	switch (FIELD_GET(CMDQ_0_OP, cmd[0])) {
	case CMDQ_OP_CFGI_CD:
	case CMDQ_OP_CFGI_CD_ALL:
	case CMDQ_OP_ATC_INV:
		return true;
	default:
		return false;
	}
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_user_cmd_has_sid);

#define CMD_TLBI_0_SCALE_DS	GENMASK_ULL(25, 20)
/* TG and TTL combined into an index */
#define CMD_TLBI_1_TG_TTL	(CMDQ_TLBI_1_TG | CMDQ_TLBI_1_TTL)
#define TG_TTL(tg, ttl)		((tg) << 2 | (ttl))

static const u8 user_cmds[CMDQ_0_OP + 1] = {
	[CMDQ_OP_TLBI_NSNH_ALL] = USER_CMD_TLBI_NSNH_ALL,
	[CMDQ_OP_TLBI_NH_ALL] = USER_CMD_TLBI_NH_ALL,
	[CMDQ_OP_TLBI_NH_ASID] = USER_CMD_TLBI_NH_ASID,
	[CMDQ_OP_TLBI_NH_VA] = USER_CMD_TLBI_NH_VA,
	[CMDQ_OP_TLBI_NH_VAA] = USER_CMD_TLBI_NH_VAA,
	[CMDQ_OP_CFGI_CD] = USER_CMD_CFGI_CD,
	[CMDQ_OP_CFGI_CD_ALL] = USER_CMD_CFGI_CD_ALL,
	[CMDQ_OP_ATC_INV] = USER_CMD_ATC_INV,
};

/* Range fields of an invalidation by address, 4.4.1 */
static void init_user_ranges(const struct arm_smmu_device *smmu,
			     struct arm_smmu_user_cmds *legal)
{
	static const unsigned long granules[] = { SZ_4K, SZ_16K, SZ_64K };
	unsigned int tg, ttl;

	if (!(smmu->features & ARM_SMMU_FEAT_RANGE_INV))
		return;
	legal->range[0] = CMDQ_TLBI_0_NUM | CMDQ_TLBI_0_SCALE;
	if (smmu->features & ARM_SMMU_FEAT_DS)
		legal->range[0] |= CMD_TLBI_0_SCALE_DS;
	legal->range[1] = CMDQ_TLBI_1_TTL | CMDQ_TLBI_1_TG;

	for (tg = 1; tg <= ARRAY_SIZE(granules); tg++) {
		if (!(smmu->pgsize_bitmap & granules[tg - 1]))
			continue;
		for (ttl = 0; ttl <= 3; ttl++) {
			/* 16K pages have blocks at level 1 only with DS */
			if (tg == 2 && ttl == 1 &&
			    !(smmu->features & ARM_SMMU_FEAT_DS))
				continue;
			legal->tg_ttl[1] |= BIT(TG_TTL(tg, ttl));
			if (ttl)
				legal->tg_ttl[0] |= BIT(TG_TTL(tg, ttl));
		}
	}
}

/**
 * arm_smmu_init_user_cmds() - Collect the commands that a guest may send
 * @smmu: SMMU whose features decide which fields are legal
 * @legal: Filled in
 *
 * Each opcode has a list of legal fields, without those of features that this
 * SMMU lacks. Addresses, ASIDs and SSIDs out of range are legal, and affect the
 * guest alone.
 */
void arm_smmu_init_user_cmds(const struct arm_smmu_device *smmu,
			     struct arm_smmu_user_cmds *legal)
{
	u64 (*fields)[CMDQ_ENT_DWORDS] = legal->fields;
	const u64 va = CMDQ_TLBI_1_LEAF | CMDQ_TLBI_1_VA_MASK;
	u64 asid = CMDQ_TLBI_0_ASID;

	memset(legal, 0, sizeof(*legal));
	init_user_ranges(smmu, legal);

	if (smmu->asid_bits < 16)
		asid = FIELD_PREP(CMDQ_TLBI_0_ASID, GENMASK(7, 0));

	/* 4.4.4: NSNH_ALL has no operand, not even a VMID */
	fields[USER_CMD_TLBI_NSNH_ALL][0] = CMDQ_0_OP;
	fields[USER_CMD_TLBI_NH_ALL][0] = CMDQ_0_OP | CMDQ_TLBI_0_VMID;
	fields[USER_CMD_TLBI_NH_ASID][0] = CMDQ_0_OP | CMDQ_TLBI_0_VMID | asid;
	fields[USER_CMD_TLBI_NH_VA][0] = CMDQ_0_OP | CMDQ_TLBI_0_VMID | asid;
	fields[USER_CMD_TLBI_NH_VA][1] = va;
	fields[USER_CMD_TLBI_NH_VAA][0] = CMDQ_0_OP | CMDQ_TLBI_0_VMID;
	fields[USER_CMD_TLBI_NH_VAA][1] = va;

	fields[USER_CMD_CFGI_CD][0] = CMDQ_0_OP | CMDQ_CFGI_0_SID;
	fields[USER_CMD_CFGI_CD][1] = CMDQ_CFGI_1_LEAF;
	fields[USER_CMD_CFGI_CD_ALL][0] = CMDQ_0_OP | CMDQ_CFGI_0_SID;
	if (smmu->ssid_bits)
		fields[USER_CMD_CFGI_CD][0] |= CMDQ_CFGI_0_SSID;

	if (!(smmu->features & ARM_SMMU_FEAT_ATS))
		return;
	fields[USER_CMD_ATC_INV][0] = CMDQ_0_OP | CMDQ_ATC_0_SID;
	fields[USER_CMD_ATC_INV][1] = CMDQ_ATC_1_SIZE | CMDQ_ATC_1_ADDR_MASK;
	if (smmu->ssid_bits)
		fields[USER_CMD_ATC_INV][0] |= CMDQ_0_SSV | CMDQ_ATC_0_GLOBAL |
					       CMDQ_ATC_0_SSID;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_init_user_cmds);

/*
 * A reserved combination makes the command illegal: TG without a range, a range
 * without TG, or a granule that the SMMU lacks.
 */
static bool user_range_is_legal(const struct arm_smmu_user_cmds *legal,
				const u64 *fields, const u64 *cmd)
{
	bool counts = cmd[0] & (CMDQ_TLBI_0_NUM | CMD_TLBI_0_SCALE_DS);

	if ((cmd[0] & ~(fields[0] | legal->range[0])) ||
	    (cmd[1] & ~(fields[1] | legal->range[1])))
		return false;
	return legal->tg_ttl[counts] &
	       BIT(FIELD_GET(CMD_TLBI_1_TG_TTL, cmd[1]));
}

/* Convert one command. Return its enum arm_smmu_user_cmd, or -EIO. */
static int convert_user_cmd(const struct arm_smmu_user_cmds *legal, u16 vmid,
			    u64 *cmd)
{
	const unsigned int op = user_cmds[FIELD_GET(CMDQ_0_OP, cmd[0])];
	const u64 *fields = legal->fields[op];

	if (op == USER_CMD_NONE)
		return -EIO;
	if (((cmd[0] & ~fields[0]) | (cmd[1] & ~fields[1])) &&
	    (op > USER_CMD_TLBI_NH_VAA ||
	     !user_range_is_legal(legal, fields, cmd)))
		return -EIO;

	if (op >= USER_CMD_TLBI_NSNH_ALL) {
		if (op == USER_CMD_ATC_INV &&
		    FIELD_GET(CMDQ_ATC_1_SIZE, cmd[1]) > ATC_INV_SIZE_ALL)
			return -EIO;
		if (op != USER_CMD_TLBI_NSNH_ALL)
			return op;
		cmd[0] = FIELD_PREP(CMDQ_0_OP, CMDQ_OP_TLBI_NH_ALL);
	}
	cmd[0] &= ~CMDQ_TLBI_0_VMID;
	cmd[0] |= FIELD_PREP(CMDQ_TLBI_0_VMID, vmid);
	return op;
}

/**
 * arm_smmu_convert_user_cmds() - Validate and convert a guest's commands
 * @legal: Commands that a guest may send to this SMMU
 * @vmid: VMID of the vSMMU
 * @cmds: Commands as the guest wrote them, converted in place
 * @num: Number of commands, on return the number of converted ones
 * @have_sids: Set to true if a converted command names a stream
 *
 * All devices behind the SMMU share the queue, which stops at the first illegal
 * command, 4.1.3 and 7.1. Every command that might be illegal is refused.
 *
 * A guest's invalidation of all non-secure EL1 entries becomes one of all
 * entries of its VMID. A command with a StreamID goes to
 * arm_smmu_set_user_cmd_sid() next.
 *
 * The conversion stops before an ATC invalidation that follows another command.
 * An ATC must not refill from a TLB before that is invalidated, 3.9.1.
 *
 * Return: 0, or -EIO if the command after the converted ones is not for a guest
 * or might be illegal
 */
int arm_smmu_convert_user_cmds(const struct arm_smmu_user_cmds *legal, u16 vmid,
			       u64 *cmds, u32 *num, bool *have_sids)
{
	const u32 end = *num;
	u64 *cmd = cmds;
	int ret = 0;
	u32 i;

	for (i = 0; i != end; i++, cmd += CMDQ_ENT_DWORDS) {
		int op;

		cmd[0] = le64_to_cpu((__force __le64)cmd[0]);
		cmd[1] = le64_to_cpu((__force __le64)cmd[1]);
		op = convert_user_cmd(legal, vmid, cmd);
		if (op < 0) {
			ret = op;
			break;
		}
		if (op < USER_CMD_CFGI_CD)
			continue;
		if (op == USER_CMD_ATC_INV && i &&
		    FIELD_GET(CMDQ_0_OP, cmd[-CMDQ_ENT_DWORDS]) !=
			    CMDQ_OP_ATC_INV)
			break;
		*have_sids = true;
	}
	*num = i;
	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_convert_user_cmds);

/**
 * arm_smmu_set_user_cmd_sid() - Replace the guest's StreamID by the device's
 * @cmd: Two words of a converted command that names a stream
 * @sid: Physical StreamID of the device
 * @ssid_bits: Width of the device's SubstreamIDs in bits, 0 for none
 *
 * An ATC invalidation with a PASID has a prefix, which a function without
 * PASIDs may treat as malformed. SSV is cleared for such a function. The
 * command then covers all ATC entries of the address, 4.5.1: at least those
 * that the guest asked for.
 *
 * Return: 0, or -EIO if the device has no such SubstreamID
 */
int arm_smmu_set_user_cmd_sid(u64 *cmd, u32 sid, unsigned int ssid_bits)
{
	if (FIELD_GET(CMDQ_0_OP, cmd[0]) == CMDQ_OP_ATC_INV &&
	    (cmd[0] & CMDQ_0_SSV)) {
		if (!ssid_bits)
			cmd[0] &= ~(CMDQ_0_SSV | CMDQ_ATC_0_GLOBAL |
				    CMDQ_ATC_0_SSID);
		else if (FIELD_GET(CMDQ_ATC_0_SSID, cmd[0]) >> ssid_bits)
			return -EIO;
	}
	cmd[0] &= ~CMDQ_CFGI_0_SID;
	cmd[0] |= FIELD_PREP(CMDQ_CFGI_0_SID, sid);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_set_user_cmd_sid);

/**
 * arm_smmu_user_cmds_per_sync() - Bound the commands between two CMD_SYNCs
 * @smmu: SMMU with its command queue
 *
 * Other users' commands wait behind a guest's, and time out after a second. A
 * guest therefore takes only a small part of the queue.
 *
 * Return: the number of commands, a power of two, at most 1024 and an eighth of
 * the queue
 */
unsigned int arm_smmu_user_cmds_per_sync(const struct arm_smmu_device *smmu)
{
	return min(1024U, (1U << smmu->cmdq.q.llq.max_n_shift) / 8);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_user_cmds_per_sync);

/* Translation faults, 7.3.13 to 7.3.16: the events with Stall and S2 */
static bool evt_is_fault(const u64 *evt)
{
	switch (FIELD_GET(EVTQ_0_ID, evt[0])) {
	case EVT_ID_TRANSLATION_FAULT:
	case EVT_ID_ADDR_SIZE_FAULT:
	case EVT_ID_ACCESS_FAULT:
	case EVT_ID_PERMISSION_FAULT:
		return true;
	default:
		return false;
	}
}

/**
 * arm_smmu_evt_owner() - Find the recipient of an event
 * @evt: Event record, 7.3, of a stream with a guest's stage 1. If the
 *       transaction stalled, it had no handler and is terminated.
 *
 * A guest gets the events that its own STE, CDs and tables cause. Stage 2
 * events have S2 set, also if a walk of stage 1 caused them. Such an event
 * holds an IPA that the guest's SMMU would not report. It means that the
 * guest's stage 1 points outside of its memory. All other events concern the
 * host: the stream table, or fetches that only the host can repair.
 *
 * Return: the recipient
 */
enum arm_smmu_evt_owner arm_smmu_evt_owner(const u64 *evt)
{
	if (evt_is_fault(evt))
		return evt[1] & EVTQ_1_S2 ? ARM_SMMU_EVT_STAGE2 :
					    ARM_SMMU_EVT_GUEST;

	switch (FIELD_GET(EVTQ_0_ID, evt[0])) {
	case EVT_ID_BAD_STE:
	case EVT_ID_STREAM_DISABLED:
	case EVT_ID_BAD_SUBSTREAMID:
	case EVT_ID_BAD_CD:
		return ARM_SMMU_EVT_GUEST;
	default:
		return ARM_SMMU_EVT_HOST;
	}
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_evt_owner);

/**
 * arm_smmu_make_vevent() - Convert an event for the guest
 * @vevent: Filled in with the guest's event
 * @evt: Event record of the SMMU, in the CPU's byte order
 * @vsid: Virtual StreamID of the device
 *
 * A guest can't answer a stall. A stall that gets here is over, and is reported
 * as if the transaction had not stalled.
 */
void arm_smmu_make_vevent(struct iommu_vevent_arm_smmuv3 *vevent,
			  const u64 *evt, u32 vsid)
{
	unsigned int i;

	vevent->evt[0] = cpu_to_le64((evt[0] & ~EVTQ_0_SID) |
				     FIELD_PREP(EVTQ_0_SID, vsid));
	for (i = 1; i != ARRAY_SIZE(vevent->evt); i++)
		vevent->evt[i] = cpu_to_le64(evt[i]);
	if (evt_is_fault(evt) && (evt[1] & EVTQ_1_STALL))
		vevent->evt[1] &= ~cpu_to_le64(EVTQ_1_STALL | EVTQ_1_STAG);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_make_vevent);
