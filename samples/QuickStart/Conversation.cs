using Microsoft.ML.Sorsa;

namespace QuickStart;

/// <summary>Questions from the keyboard, each answered on its own: the model remembers none of those before.</summary>
internal static class Conversation
{
    public static void Run(SorsaTransformer model)
    {
        Console.WriteLine("Ask the model; an empty line ends.");
        while (true)
        {
            Console.Write("> ");
            string? question = Console.ReadLine();
            if (string.IsNullOrWhiteSpace(question))
            {
                // Behind an end of the input the cursor still stands on the question's line.
                Console.Write(question is null ? Environment.NewLine : "");
                return;
            }

            try
            {
                foreach (string piece in model.Stream(question))
                {
                    Console.Write(piece);
                }

                Console.WriteLine();
            }
            catch (ArgumentException e)
            {
                // A question may be too long for the model; the next one need not be.
                Console.WriteLine(e.Message);
            }
        }
    }
}
