// SPDX-License-Identifier: GPL-2.0-only
/*
 * From what user space asks for to the words that an SMMUv3 reads.
 *
 * Pure functions: no lock, no allocation, no access to the hardware. Nothing
 * else in the driver makes an STE or a command out of a guest's. Section
 * numbers are those of Arm IHI 0070.
 */
#include <kunit/visibility.h>

#include "arm-smmu-v3-user.h"

/* What a guest may say in the first two words of an STE, 5.2 */
#define VSTE_0_MASK                                                    \
	(STRTAB_STE_0_V | STRTAB_STE_0_CFG | STRTAB_STE_0_S1FMT |      \
	 STRTAB_STE_0_S1CTXPTR_MASK | STRTAB_STE_0_S1CDMAX)
#define VSTE_1_S1_MASK                                                 \
	(STRTAB_STE_1_S1DSS | STRTAB_STE_1_S1CIR | STRTAB_STE_1_S1COR | \
	 STRTAB_STE_1_S1CSH | STRTAB_STE_1_S1STALLD)
#define VSTE_1_MASK	(VSTE_1_S1_MASK | STRTAB_STE_1_EATS)

/**
 * arm_smmu_check_vste() - Check a guest's STE
 * @vste: Its first two words
 * @checked: What is to be kept of them
 *
 * An STE with V=0 has no other field, 5.2: nothing else in it is looked at, and
 * nothing is kept. S1ContextPtr, S1Fmt, S1CDMax and S1DSS are not checked: the
 * first is an IPA, and bad combinations make the SMMU report C_BAD_STE or
 * C_BAD_CD for this stream alone.
 *
 * Return: 0, or -EIO if a bit outside of the fields that a guest may set is
 * set, Config is not abort, bypass or stage 1, or EATS is neither 0 nor 1.
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
	/* Split-stage ATS has the host translate for the guest: not offered */
	if (eats != STRTAB_STE_1_EATS_ABT && eats != STRTAB_STE_1_EATS_TRANS)
		return -EIO;

	checked[0] = vste[0];
	checked[1] = vste[1];
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_check_vste);

/**
 * arm_smmu_vste_config() - What a checked vSTE does with the stream
 * @vste: The vSTE
 *
 * Return: STRTAB_STE_0_CFG_ABORT, also for V=0, STRTAB_STE_0_CFG_BYPASS or
 * STRTAB_STE_0_CFG_S1_TRANS
 */
unsigned int arm_smmu_vste_config(const __le64 *vste)
{
	/* That of V=0 was not kept, and 0 is abort */
	return FIELD_GET(STRTAB_STE_0_CFG, le64_to_cpu(vste[0]));
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_vste_config);

/**
 * arm_smmu_vste_wants_ats() - Does a checked vSTE let the device use ATS?
 * @vste: The vSTE
 *
 * A stream that aborts must not have translations in its ATC. With bypass the
 * guest has no say, the kernel's own policy holds.
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
 * @target: The STE made
 * @s2: Stage 2 only STE of the nest parent, with EATS as the kernel wants it
 * @vste: Checked vSTE
 * @vmid: VMID of the vSMMU
 * @force_stalld: The SMMU could stall and nobody handles stalls of this domain
 *
 * With stage 1 the guest's fields take effect within stage 2 of the host, 3.3.2:
 * S1ContextPtr and all addresses behind it are IPAs. STRW stays 0, NS-EL1. MEV
 * lets the SMMU merge events, so that a guest can't flood the queue that it
 * shares with all others, 5.2.
 *
 * @force_stalld: a transaction that stalls waits for software, 3.12.2. Where
 * user space would never answer, the guest's leave to stall is taken away.
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

static unsigned int ste_config(const struct arm_smmu_ste *ste)
{
	return FIELD_GET(STRTAB_STE_0_CFG, le64_to_cpu(ste->data[0]));
}

/* EATS and MEV take part in no translation */
#define STE_1_FREE_TO_CHANGE	cpu_to_le64(STRTAB_STE_1_EATS | STRTAB_STE_1_MEV)

/*
 * Whether no single store leads from one STE to the other, so that the STE
 * writer would clear V in between. EATS and MEV can go first, but not while the
 * stage 2 or the VMID change, too.
 */
static bool ste_needs_gap(const struct arm_smmu_ste *cur,
			  const struct arm_smmu_ste *target)
{
	__le64 target_used[STRTAB_STE_DWORDS] = {};
	__le64 cur_used[STRTAB_STE_DWORDS] = {};
	unsigned int num_words = 0;
	unsigned int i;

	arm_smmu_get_ste_used(cur->data, cur_used);
	arm_smmu_get_ste_used(target->data, target_used);

	for (i = 0; i != STRTAB_STE_DWORDS; i++) {
		__le64 differs = (cur->data[i] ^ target->data[i]) &
				 cur_used[i] & target_used[i];

		if (i == 1 && cur->data[2] == target->data[2] &&
		    cur->data[3] == target->data[3])
			differs &= ~STE_1_FREE_TO_CHANGE;
		num_words += !!differs;
	}
	return num_words > 1;
}

/**
 * arm_smmu_ste_step() - Next step on a way between two STEs without a gap
 * @cur: What the SMMU sees now
 * @target: What it shall see in the end
 * @step: Filled in with what to install before @target
 *
 * The STE writer is hitless if only one 64-bit word changes among the fields
 * that the SMMU looks at. Between a stage 2 only and a nested STE of the same
 * nest parent three do: Config and S1ContextPtr, EATS and MEV, and the VMID.
 * Each of them can change by itself:
 *
 * - EATS and MEV do not alter a translation. The driver has ATS off at the PCI
 *   function whenever EATS is 0 at either end.
 * - The VMID names TLB entries. It must change while there is no stage 1: with
 *   one, entries of this guest's ASIDs would be made under the VMID of another.
 *
 * Two nested STEs can be too far apart for that, as nobody asked for the old
 * word 0 with the new word 1, and so is most of what is not of this nest parent.
 * What translates by stage 2 may be a guest's, also where the guest's STE is one
 * of bypass. Before it is then an STE that aborts, since that makes no event,
 * 5.2; one with V=0 makes C_BAD_STE, and the guest's STE is good. To ATS they
 * are the same.
 *
 * Call again with @step as @cur until it returns false. Both STEs may be any
 * that the driver makes.
 *
 * Return: true if @step was filled in, false if @target is next
 */
bool arm_smmu_ste_step(const struct arm_smmu_ste *cur,
		       const struct arm_smmu_ste *target,
		       struct arm_smmu_ste *step)
{
	const __le64 s2_attrs =
		cpu_to_le64(STRTAB_STE_1_SHCFG | STRTAB_STE_1_S2FWB);
	const __le64 vmid = cpu_to_le64(STRTAB_STE_2_S2VMID);
	const unsigned int from = ste_config(cur);
	const unsigned int to = ste_config(target);
	bool same_s2;

	if (!(cur->data[0] & target->data[0] & cpu_to_le64(STRTAB_STE_0_V)))
		return false;

	/* Stage 2 of the same page table at both ends */
	same_s2 = (from & to & BIT(1)) &&
		  !((cur->data[1] ^ target->data[1]) & s2_attrs) &&
		  !((cur->data[2] ^ target->data[2]) & ~vmid) &&
		  cur->data[3] == target->data[3];

	if (!same_s2 || (from & to) == STRTAB_STE_0_CFG_NESTED) {
		if ((to & BIT(1)) && ste_needs_gap(cur, target)) {
			arm_smmu_make_abort_ste(step);
			return true;
		}
		if (!same_s2)
			return false;
	}

	/* The same words for another VMID: one store, no step */
	if (from == STRTAB_STE_0_CFG_NESTED && to == STRTAB_STE_0_CFG_NESTED &&
	    cur->data[2] != target->data[2])
		return false;

	if ((cur->data[1] ^ target->data[1]) & STE_1_FREE_TO_CHANGE) {
		*step = *cur;
		step->data[1] &= ~STE_1_FREE_TO_CHANGE;
		step->data[1] |= target->data[1] & STE_1_FREE_TO_CHANGE;
		return memcmp(step, target, sizeof(*step));
	}

	if (cur->data[2] == target->data[2] || from == to)
		return false;

	if (from == STRTAB_STE_0_CFG_S2_TRANS) {
		*step = *cur;
		step->data[2] = target->data[2];
	} else {
		*step = *target;
		step->data[2] = cur->data[2];
	}
	return true;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_ste_step);

#define CMD_TLBI_0_SCALE_DS	GENMASK_ULL(25, 20)

/*
 * Fields of CMD_TLBI_NH_VA and CMD_TLBI_NH_VAA that say which range is meant,
 * 4.4.1. A reserved combination makes the command illegal.
 */
static bool tlbi_range_is_valid(const struct arm_smmu_device *smmu,
				const u64 *cmd)
{
	unsigned int ttl = FIELD_GET(CMDQ_TLBI_1_TTL, cmd[1]);
	unsigned int tg = FIELD_GET(CMDQ_TLBI_1_TG, cmd[1]);
	bool is_range = (cmd[0] & (CMDQ_TLBI_0_NUM | CMD_TLBI_0_SCALE_DS)) ||
			ttl;

	switch (tg) {
	case 0:
		return !is_range;
	case 1:
		return is_range && (smmu->pgsize_bitmap & SZ_4K);
	case 2:
		/* 16K pages have blocks at level 1 only with DS */
		if (ttl == 1 && !(smmu->features & ARM_SMMU_FEAT_DS))
			return false;
		return is_range && (smmu->pgsize_bitmap & SZ_16K);
	default:
		return is_range && (smmu->pgsize_bitmap & SZ_64K);
	}
}

/**
 * arm_smmu_convert_user_cmd() - Make a guest's command one for the real queue
 * @smmu: The SMMU: what it supports decides what is legal
 * @vmid: VMID of the vSMMU
 * @cmd: The two words of the command in CPU byte order, converted in place
 * @has_sid: On success, whether the command names a stream. The caller then
 *           replaces the guest's StreamID in CMDQ_CFGI_0_SID, bits [63:32] of
 *           word 0.
 *
 * The queue is shared by every device behind the SMMU, and stops at the first
 * illegal command, 4.1.3 and 7.1. So nothing may pass that might be one: each
 * opcode has a list of the fields it may have, less those of features that this
 * SMMU lacks. Addresses, ASIDs and SSIDs beyond what there is are legal, and
 * concern the guest alone.
 *
 * A guest's invalidation of all non-secure EL1 entries is one of all entries of
 * its VMID.
 *
 * Return: 0, or -EIO if the command is not for a guest or might be illegal
 */
int arm_smmu_convert_user_cmd(const struct arm_smmu_device *smmu, u16 vmid,
			      u64 *cmd, bool *has_sid)
{
	const bool ssids = smmu->ssid_bits;
	u64 asid = CMDQ_TLBI_0_ASID;
	u64 allowed0 = CMDQ_0_OP;
	u64 allowed1 = 0;

	if (smmu->asid_bits < 16)
		asid = FIELD_PREP(CMDQ_TLBI_0_ASID, GENMASK(7, 0));

	*has_sid = false;
	switch (FIELD_GET(CMDQ_0_OP, cmd[0])) {
	case CMDQ_OP_TLBI_NSNH_ALL:
		/* 4.4.4: has no operand. The VMID field is not one of its own */
		break;
	case CMDQ_OP_TLBI_NH_ALL:
		allowed0 |= CMDQ_TLBI_0_VMID;
		break;
	case CMDQ_OP_TLBI_NH_ASID:
		allowed0 |= CMDQ_TLBI_0_VMID | asid;
		break;
	case CMDQ_OP_TLBI_NH_VA:
		allowed0 |= asid;
		fallthrough;
	case CMDQ_OP_TLBI_NH_VAA:
		allowed0 |= CMDQ_TLBI_0_VMID;
		allowed1 = CMDQ_TLBI_1_LEAF | CMDQ_TLBI_1_VA_MASK;
		if (!(smmu->features & ARM_SMMU_FEAT_RANGE_INV))
			break;
		allowed0 |= CMDQ_TLBI_0_NUM | CMDQ_TLBI_0_SCALE;
		if (smmu->features & ARM_SMMU_FEAT_DS)
			allowed0 |= CMD_TLBI_0_SCALE_DS;
		allowed1 |= CMDQ_TLBI_1_TTL | CMDQ_TLBI_1_TG;
		if (!tlbi_range_is_valid(smmu, cmd))
			return -EIO;
		break;
	case CMDQ_OP_ATC_INV:
		if (!(smmu->features & ARM_SMMU_FEAT_ATS))
			return -EIO;
		allowed0 |= CMDQ_ATC_0_SID;
		if (ssids)
			allowed0 |= CMDQ_0_SSV | CMDQ_ATC_0_GLOBAL |
				    CMDQ_ATC_0_SSID;
		allowed1 = CMDQ_ATC_1_SIZE | CMDQ_ATC_1_ADDR_MASK;
		if (FIELD_GET(CMDQ_ATC_1_SIZE, cmd[1]) > ATC_INV_SIZE_ALL)
			return -EIO;
		*has_sid = true;
		break;
	case CMDQ_OP_CFGI_CD:
		if (ssids)
			allowed0 |= CMDQ_CFGI_0_SSID;
		allowed1 = CMDQ_CFGI_1_LEAF;
		fallthrough;
	case CMDQ_OP_CFGI_CD_ALL:
		allowed0 |= CMDQ_CFGI_0_SID;
		*has_sid = true;
		break;
	default:
		return -EIO;
	}

	if ((cmd[0] & ~allowed0) || (cmd[1] & ~allowed1))
		return -EIO;
	if (*has_sid)
		return 0;

	if (FIELD_GET(CMDQ_0_OP, cmd[0]) == CMDQ_OP_TLBI_NSNH_ALL)
		cmd[0] = FIELD_PREP(CMDQ_0_OP, CMDQ_OP_TLBI_NH_ALL);
	cmd[0] &= ~CMDQ_TLBI_0_VMID;
	cmd[0] |= FIELD_PREP(CMDQ_TLBI_0_VMID, vmid);
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_convert_user_cmd);

/* Events of a translation, 7.3.13 to 7.3.16: those with Stall and S2 */
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
 * arm_smmu_evt_owner() - Who is to hear of an event?
 * @evt: The event record, 7.3, of a stream with a guest's stage 1. If it has
 *       stalled, nobody has taken it, and it is over.
 *
 * A guest hears of what its own STE, CD and tables cause. An event of stage 2
 * has S2 set, also where it was met on a walk of stage 1: it holds an IPA that
 * the guest's SMMU would not know of, and says that the guest's stage 1 leads
 * to where there is no memory. The other events are about structures that are
 * the host's: the stream table itself, or fetches that only the host can mend.
 *
 * Return: the owner
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
 * arm_smmu_make_vevent() - Make a guest's event of the SMMU's
 * @vevent: The guest's
 * @evt: The SMMU's, in the CPU's byte order
 * @vsid: The StreamID by which the guest knows the device
 *
 * A guest can't answer a stall. One that is told here is over, and looks as if
 * there had been none.
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

/**
 * arm_smmu_mask_hw_info() - Hide the features that the kernel does not use
 * @smmu: The SMMU, as the kernel sees it after errata and firmware
 * @info: With the registers as read, 6.3.1 to 6.3.6. Bits are cleared.
 */
void arm_smmu_mask_hw_info(const struct arm_smmu_device *smmu,
			   struct iommu_hw_info_arm_smmuv3 *info)
{
	const struct {
		u32 feature;
		unsigned int idr;
		u32 bits;
	} hidden_without[] = {
		{ ARM_SMMU_FEAT_BTM, 0, IDR0_BTM },
		{ ARM_SMMU_FEAT_COHERENCY, 0, IDR0_COHACC },
		{ ARM_SMMU_FEAT_HA, 0, IDR0_HTTU },
		{ ARM_SMMU_FEAT_ATS, 0, IDR0_ATS },
		{ ARM_SMMU_FEAT_SEV, 0, IDR0_SEV },
		{ ARM_SMMU_FEAT_PRI, 0, IDR0_PRI },
		{ ARM_SMMU_FEAT_RANGE_INV, 3, IDR3_RIL },
		{ ARM_SMMU_FEAT_S2FWB, 3, IDR3_FWB },
		{ ARM_SMMU_FEAT_DS, 5, IDR5_DS },
	};
	unsigned int i;

	for (i = 0; i != ARRAY_SIZE(hidden_without); i++)
		if (!(smmu->features & hidden_without[i].feature))
			info->idr[hidden_without[i].idr] &=
				~hidden_without[i].bits;

	/* Access flag without dirty state */
	if (!(smmu->features & ARM_SMMU_FEAT_HD) &&
	    FIELD_GET(IDR0_HTTU, info->idr[0]) > IDR0_HTTU_ACCESS) {
		info->idr[0] &= ~IDR0_HTTU;
		info->idr[0] |= FIELD_PREP(IDR0_HTTU, IDR0_HTTU_ACCESS);
	}
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_mask_hw_info);
