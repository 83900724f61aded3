using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa;

/// <content>Training on several processes.</content>
public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>
        /// The processes that train one model together, such as those that mpirun started (package Microsoft.ML.Sorsa.Mpi); null: this one
        /// alone. Every rank runs the same program with the same options, data and model, and gets the same fine-tuned model. All other
        /// options mean what they mean for one process: <see cref="BatchSize"/> is the rows of all ranks together, of which each takes
        /// its share, so it must be at least the number of ranks. Rank 0 alone logs, reports progress and writes checkpoints. Default null.
        /// </summary>
        public ITrainingRanks? Ranks { get; set; }
    }
}
