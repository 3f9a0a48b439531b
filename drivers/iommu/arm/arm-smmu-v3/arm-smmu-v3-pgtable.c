// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose the shape of a page table that the kernel owns: what was asked for, or
 * nothing. Pure: (request, features) to (shape | errno).
 *
 * Sections are those of Arm IHI 0070, the SMMUv3 architecture, where not said
 * otherwise.
 */
#include <linux/sizes.h>
#include <kunit/visibility.h>

#include "arm-smmu-v3-pgtable.h"

/* All that the architecture has, with or without the features for it, 3.4 */
#define INPUT_BITS_MIN		16
#define INPUT_BITS_MAX		56

/* Below this, T0SZ needs small translation tables (IDR3.STT), 5.2 and 5.4 */
#define INPUT_BITS_NO_STT	25

/* What 4K and 16K pages can do without 52-bit descriptors (IDR5.DS), 3.4 */
#define ADDR_BITS_NO_DS		48
#define ADDR_BITS_64K		52

static bool is_output_size(u32 bits)
{
	/* SMMU_IDR5.OAS, 6.3.6 */
	switch (bits) {
	case 32:
	case 36:
	case 40:
	case 42:
	case 44:
	case 48:
	case 52:
	case 56:
		return true;
	default:
		return false;
	}
}

static int check_want(const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	if (want->flags || want->reserved)
		return -EOPNOTSUPP;
	if (want->stage > 2)
		return -EINVAL;
	if (want->input_bits && (want->input_bits < INPUT_BITS_MIN ||
				 want->input_bits > INPUT_BITS_MAX))
		return -EINVAL;
	if (want->output_bits && !is_output_size(want->output_bits))
		return -EINVAL;
	switch (want->granule_shift) {
	case 0:
	case 12:
	case 14:
	case 16:
		return 0;
	default:
		return -EINVAL;
	}
}

static bool can_do_stage(const struct arm_smmu_device *smmu, u32 flags,
			 enum arm_smmu_domain_stage stage)
{
	if (stage == ARM_SMMU_DOMAIN_S1) {
		/* What a guest's stage 1 is to sit on is stage 2 */
		return (smmu->features & ARM_SMMU_FEAT_TRANS_S1) &&
		       !(flags & IOMMU_HWPT_ALLOC_NEST_PARENT);
	}
	if ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) &&
	    !(smmu->features & ARM_SMMU_FEAT_NESTING))
		return false;
	/* Stage 2 has dirty bits in the architecture, not in io-pgtable */
	return (smmu->features & ARM_SMMU_FEAT_TRANS_S2) &&
	       !(flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}

/* What the kernel makes for itself is as it has always been */
static bool is_for_user(u32 flags,
			const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	return want->stage || want->input_bits || want->output_bits ||
	       want->granule_shift || (flags & IOMMU_HWPT_ALLOC_NEST_PARENT);
}

/* Fill in @ias, @oas and @pgsize_bitmap for a stage and a granule, if possible */
static bool fit(struct arm_smmu_pgtable *chosen,
		const struct arm_smmu_device *smmu, u32 flags,
		const struct iommu_hwpt_arm_smmuv3_pgtable *want,
		unsigned int granule_shift)
{
	unsigned int max_bits = ADDR_BITS_NO_DS;
	unsigned long sizes;
	unsigned int ias, oas;

	if (!(smmu->pgsize_bitmap & BIT(granule_shift)))
		return false;
	switch (granule_shift) {
	case 12:
		sizes = SZ_4K | SZ_2M | SZ_1G;
		break;
	case 14:
		sizes = SZ_16K | SZ_32M;
		break;
	default:
		sizes = SZ_64K | SZ_512M;
		max_bits = ADDR_BITS_64K;
		break;
	}

	if (chosen->stage == ARM_SMMU_DOMAIN_S1) {
		ias = smmu->features & ARM_SMMU_FEAT_VAX ? 52 : 48;
		ias = min_t(unsigned int, ias, VA_BITS);
		oas = smmu->ias;
	} else {
		ias = smmu->ias;
		oas = smmu->oas;
	}
	ias = min(ias, max_bits);
	oas = min(oas, max_bits);

	if (want->output_bits) {
		if (want->output_bits > min_t(unsigned int, smmu->oas, max_bits))
			return false;
		oas = want->output_bits;
	}
	if (chosen->stage == ARM_SMMU_DOMAIN_S2 && is_for_user(flags, want)) {
		/* An IPA has no more bits than what it turns into */
		ias = min(ias, oas);
		/*
		 * Arm DDI 0487, D8.2: 16K pages at stage 2 start at level 2
		 * where the output has no more than 40 bits. io-pgtable starts
		 * at level 1 for more than this.
		 */
		if (granule_shift == 14 && oas <= 40)
			ias = min(ias, 36U);
	}
	if (want->input_bits) {
		if (want->input_bits < INPUT_BITS_NO_STT ||
		    want->input_bits > ias)
			return false;
		ias = want->input_bits;
	}
	if (granule_shift == 16 && oas > ADDR_BITS_NO_DS)
		sizes |= 1ULL << 42; /* 4TB */

	chosen->ias = ias;
	chosen->oas = oas;
	/* A block is an entry of a table, that of the start level at most */
	chosen->pgsize_bitmap = smmu->pgsize_bitmap & sizes & (BIT_ULL(ias) - 1);
	return true;
}

/* The granules that are tried, the first that fits wins */
static bool fit_granule(struct arm_smmu_pgtable *chosen,
			const struct arm_smmu_device *smmu, u32 flags,
			const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	int shift;

	/* iommufd maps what is contiguous by pages, not by more */
	if (want->granule_shift)
		return want->granule_shift <= PAGE_SHIFT &&
		       fit(chosen, smmu, flags, want, want->granule_shift);

	/* That of the CPU, else smaller ones */
	for (shift = PAGE_SHIFT; shift >= 12; shift -= 2)
		if (fit(chosen, smmu, flags, want, shift))
			return true;
	/* What there is may do for a domain of the kernel's */
	if (is_for_user(flags, want))
		return false;
	for (shift = PAGE_SHIFT + 2; shift <= 16; shift += 2)
		if (fit(chosen, smmu, flags, want, shift))
			return true;
	return false;
}

/**
 * arm_smmu_choose_pgtable() - Choose the shape of a page table
 * @chosen: The shape, if there is one
 * @smmu: The SMMU that is to walk the table
 * @flags: IOMMU_HWPT_ALLOC_NEST_PARENT for a stage 2 that a guest's stage 1 can
 *         sit on, IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @want: What user space asks for; 0 in a field, or NULL, leaves the choice to
 *        the driver: stage 1 before stage 2, the granule of the CPU's pages if
 *        the SMMU has it, and the largest addresses.
 *
 * Where a choice was left it is made so that the rest fits. What was asked for
 * is never replaced by something else.
 *
 * Return: 0, or
 * * -EINVAL if the architecture has no such stage, size or granule
 * * -EOPNOTSUPP if flags or reserved fields are not 0, or this SMMU, the page
 *   table code or the kernel's page size can't do what was asked; in particular
 *   a nest parent at stage 1 and dirty tracking at stage 2
 */
int arm_smmu_choose_pgtable(struct arm_smmu_pgtable *chosen,
			    const struct arm_smmu_device *smmu, u32 flags,
			    const struct iommu_hwpt_arm_smmuv3_pgtable *want)
{
	static const struct iommu_hwpt_arm_smmuv3_pgtable whatever;
	int ret;

	if (!want)
		want = &whatever;
	ret = check_want(want);
	if (ret)
		return ret;

	if (want->stage != 2 && can_do_stage(smmu, flags, ARM_SMMU_DOMAIN_S1)) {
		chosen->stage = ARM_SMMU_DOMAIN_S1;
		if (fit_granule(chosen, smmu, flags, want))
			return 0;
	}
	if (want->stage != 1 && can_do_stage(smmu, flags, ARM_SMMU_DOMAIN_S2)) {
		chosen->stage = ARM_SMMU_DOMAIN_S2;
		if (fit_granule(chosen, smmu, flags, want))
			return 0;
	}
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_choose_pgtable);
