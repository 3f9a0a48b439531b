// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATS of a PCI function that can't answer for a while. Section numbers refer to
 * Arm IHI 0070.
 */
#include <kunit/visibility.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/rcupdate.h>

#include "arm-smmu-v3-user.h"

/* In addition to enum iommu_quiet: ATS could not be enabled again */
#define ARM_SMMU_QUIET_REFUSED	31

/**
 * arm_smmu_master_is_quiet() - Check if the function can't answer invalidations
 * @master: The master
 *
 * CMD_SYNC waits for the answer to a CMD_ATC_INV, or for a timeout, 4.7.
 *
 * Return: true if the function does not answer for the time being, or is gone
 */
bool arm_smmu_master_is_quiet(struct arm_smmu_master *master)
{
	return READ_ONCE(master->quiet) ||
	       (dev_is_pci(master->dev) &&
		pci_dev_is_disconnected(to_pci_dev(master->dev)));
}

static void arm_smmu_resume_ats(struct arm_smmu_master *master)
{
	if (pci_device_is_present(to_pci_dev(master->dev))) {
		WRITE_ONCE(master->quiet, 0);
		/*
		 * From now on an unmap invalidates the ATC. Pairs with the
		 * smp_mb() in arm_smmu_atc_inv_domain().
		 */
		smp_mb();
		if (!arm_smmu_enable_ats(master)) {
			WRITE_ONCE(master->ats_settled, true);
			return;
		}
	}
	WRITE_ONCE(master->quiet, BIT(ARM_SMMU_QUIET_REFUSED));
	arm_smmu_clear_eats(master);
}

/**
 * arm_smmu_set_quiet() - iommu_ops::set_quiet of SMMUv3
 * @dev: The device
 * @why: The reason
 * @quiet: true if the reason holds from now on, false if it no longer does
 *
 * ATS is off at the function as long as there is a reason. The ATC is then
 * unused, and no invalidation is sent to it. A reset or power transition can't
 * turn ATS on again, as the PCI core restores ATS only where it is on.
 *
 * When the last reason is gone, the ATC is invalidated and ATS turned on,
 * provided that the domain attached by then uses ATS. If that fails, ATS stays
 * off.
 *
 * When a reason begins, invalidations in flight from a guest or an unmap have
 * completed on return.
 */
void arm_smmu_set_quiet(struct device *dev, enum iommu_quiet why, bool quiet)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	unsigned long was, now;
	bool has_ats;

	/* Drivers also restore PCI state with a spinlock held: don't sleep */
	if (!quiet && !(READ_ONCE(master->quiet) & BIT(why)))
		return;

	mutex_lock(&arm_smmu_asid_lock);
	was = master->quiet;
	now = quiet ? was | BIT(why) : was & ~BIT(why);
	has_ats = master->ats_enabled;
	/* Unmaps must invalidate the ATC for as long as ATS is on */
	if (has_ats && now && !was) {
		arm_smmu_stop_user_atc_inv(master);
		pci_disable_ats(to_pci_dev(dev));
	}
	if (has_ats && !now && was)
		arm_smmu_resume_ats(master);
	else
		WRITE_ONCE(master->quiet, now);
	mutex_unlock(&arm_smmu_asid_lock);

	if (has_ats && quiet)
		synchronize_rcu();
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_set_quiet);
