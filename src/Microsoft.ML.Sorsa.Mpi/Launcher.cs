using System.Globalization;

namespace Microsoft.ML.Sorsa.Mpi;

/// <summary>What started this process, as far as the variables say that launchers set for their processes.</summary>
/// <param name="Name">For people.</param>
/// <param name="Size">How many processes it started; null where it does not say.</param>
/// <param name="IsOpenMpi">Whether Open MPI's library goes with it.</param>
internal sealed record Launcher(string Name, int? Size, bool IsOpenMpi)
{
    /// <summary>Null: none, so that this process is alone.</summary>
    /// <param name="variable">A variable of the environment.</param>
    public static Launcher? Of(Func<string, string?> variable)
    {
        if (variable("OMPI_COMM_WORLD_SIZE") is { } openMpi)
        {
            return new Launcher("Open MPI's mpirun", Number(openMpi), IsOpenMpi: true);
        }

        if (variable("PMI_SIZE") is { } hydra)
        {
            return new Launcher("MPICH's mpiexec", Number(hydra), IsOpenMpi: false);
        }

        // Slurm's srun: with PMIx, which is how Open MPI is started by it.
        return variable("PMIX_RANK") is null ? null : new Launcher("srun", Number(variable("SLURM_NTASKS")), IsOpenMpi: true);
    }

    private static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
