// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMU objects: one guest's slice of one physical IOMMU instance.
 */
#include <linux/iommu.h>
#include <linux/iommu-viommu.h>
#include <linux/module.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"
#include "iommufd_private.h"

void iommufd_viommu_destroy(struct iommufd_object *obj)
{
	struct iommufd_viommu *viommu =
		container_of(obj, struct iommufd_viommu, obj);

	WARN_ON(!xa_empty(&viommu->core->vdevs));
	viommu->core->ops->free(viommu->core);
	module_put(viommu->iommu_dev->ops->owner);
	refcount_dec(&viommu->hwpt->common.obj.users);
}

int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;
	const struct iommu_viommu_ops *viommu_ops;
	struct iommufd_hwpt_paging *hwpt_paging;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	const struct iommu_ops *ops;
	struct iommu_viommu *core;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;

	idev = iommufd_get_device(ucmd, cmd->dev_id);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	ops = dev_iommu_ops(idev->dev);
	if (!ops->viommu_ops) {
		rc = -EOPNOTSUPP;
		goto out_put_idev;
	}
	viommu_ops = ops->viommu_ops(idev->dev, cmd->type);
	if (IS_ERR(viommu_ops)) {
		rc = PTR_ERR(viommu_ops);
		goto out_put_idev;
	}

	hwpt_paging = iommufd_get_hwpt_paging(ucmd, cmd->hwpt_id);
	if (IS_ERR(hwpt_paging)) {
		rc = PTR_ERR(hwpt_paging);
		goto out_put_idev;
	}
	if (!hwpt_paging->nest_parent ||
	    hwpt_paging->common.domain->owner != ops) {
		rc = -EINVAL;
		goto out_put_hwpt;
	}

	viommu = iommufd_object_alloc(ucmd->ictx, viommu, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(viommu)) {
		rc = PTR_ERR(viommu);
		goto out_put_hwpt;
	}

	core = viommu_ops->alloc(idev->dev, hwpt_paging->common.domain);
	if (IS_ERR(core)) {
		rc = PTR_ERR(core);
		iommufd_object_abort(ucmd->ictx, &viommu->obj);
		goto out_put_hwpt;
	}
	core->iommufd = viommu;
	core->id = viommu->obj.id;
	viommu->core = core;
	iommufd_viommu_init_events(viommu);
	viommu->iommu_dev = idev->dev->iommu->iommu_dev;
	/*
	 * The devices behind the instance hold the driver's module, and with it
	 * the instance. The vIOMMU may outlive them all.
	 */
	__module_get(ops->owner);
	viommu->hwpt = hwpt_paging;
	refcount_inc(&hwpt_paging->common.obj.users);

	cmd->out_viommu_id = viommu->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ucmd->ictx, &viommu->obj);
	else
		iommufd_object_finalize(ucmd->ictx, &viommu->obj);

out_put_hwpt:
	iommufd_put_object(ucmd->ictx, &hwpt_paging->common.obj);
out_put_idev:
	iommufd_put_object(ucmd->ictx, &idev->obj);
	return rc;
}
